# Built on the builder's own platform and cross-compiled: no emulation for a second architecture.
FROM --platform=$BUILDPLATFORM golang:1.26.8-trixie AS build
WORKDIR /src

# The modules are a layer of their own, which a change of code leaves as it is.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG TARGETOS TARGETARCH VERSION="" COMMIT=""
# nodev leaves `clerksync dev` and its embedded database out. The build context has no .git to take a version from.
RUN --mount=type=cache,target=/cache \
    GOCACHE=/cache CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -tags nodev -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o /clerksync ./cmd/clerksync

# Who hands the image on owes the licences of what is linked.
RUN GOFLAGS=-tags=nodev tools/notices.sh /notices linux

# Nothing but the program, its licences and the roots that it trusts Clerk's, Inngest's and the database's certificates by.
FROM scratch
ARG VERSION="" COMMIT=""
LABEL org.opencontainers.image.title="clerksync" \
      org.opencontainers.image.description="Keeps a MongoDB collection a convergent copy of a Clerk instance's users" \
      org.opencontainers.image.source="https://github.com/glowup-app/clerksync" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/LICENSE /notices /licenses/
COPY --from=build /clerksync /clerksync

# A number, because Kubernetes' runAsNonRoot cannot look a name up.
USER 65532:65532
EXPOSE 3000
# The program asks itself: there is no shell and no curl here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/clerksync", "healthcheck"]
ENTRYPOINT ["/clerksync"]
CMD ["serve"]
