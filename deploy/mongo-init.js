// Run by the mongo image when its volume is empty: clerksync's user may read and write one database, and nothing else.
db.getSiblingDB("glowup").createUser({
  user: "clerksync",
  pwd: process.env.CLERKSYNC_PASSWORD,
  roles: [{ role: "readWrite", db: "glowup" }],
});
