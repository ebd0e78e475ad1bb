// Package cli holds the commands of the router that answer questions, each as a cobra command that is given its
// streams. They decide with the same code as the webhook; what they print is their only effect.
//
// A command ends with an [ExitError] wherever the exit code is not 0. The caller prints its text, if it has any,
// and exits with its code.
package cli
