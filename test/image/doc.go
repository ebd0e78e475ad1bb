// Package image holds the test of the container image: `make image` builds it twice, and a container of it, with the
// arguments, the policy and the ServiceAccount token that the installed chart gives a pod, becomes ready. Without a Docker
// Engine the test is skipped and says so; with IMAGE_TEST=required, as `make image-test` sets it, that is a failure.
package image
