// Package chaos breaks a running router in every way that the machine of a test allows, under load through a real
// kube-apiserver, and counts the pods that did not get a right answer. Run it with make chaos; the shorter set, which
// CI runs, is make chaos-short. Without the build tag chaos there is nothing here.
package chaos
