// Package config reads the configuration from the environment: one table of variables, one [Config].
//
// A configuration is good as a whole or refused as a whole: [Error] lists every fault at once, with the name of
// the variable and what a good value looks like. No value is ever quoted, since most of them are secrets.
package config
