//go:build !race

package forward_test

const raceDetector = false
