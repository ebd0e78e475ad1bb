# The router's image: one static binary and nothing else. No shell, no packages, no files of another distribution.
#
# The binary is built outside, by `make image`, and only copied here: Go's builds are reproducible without a container
# around them, and no base image has to be pulled from anywhere. The context is a folder with exactly what is copied.
FROM scratch

ARG VERSION=dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="revision-router" \
      org.opencontainers.image.description="Admission webhook that keeps pods of an Istio mesh on the revision that their labels mean" \
      org.opencontainers.image.source="https://github.com/revision-router/revision-router" \
      org.opencontainers.image.documentation="https://github.com/revision-router/revision-router/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# Modes and times come from the files: COPY --chmod is more than every builder knows.
COPY router sbom.cdx.json LICENSE /

# As the chart's podSecurityContext has it. A number, so that runAsNonRoot can be checked.
USER 65532:65532
# Webhooks, metrics, health.
EXPOSE 9443 8080 8081
ENTRYPOINT ["/router"]
