package cli

import "io"

// Streams are what a command reads and writes. They are given rather than taken from the process, so that tests
// see exactly what a user would see.
type Streams struct {
	// In is read where a file is named "-".
	In io.Reader
	// Out takes the answer, Err what is said about it.
	Out, Err io.Writer
}

// The exit codes of the commands.
const (
	// ExitRefused: something is denied, unresolvable or impossible. The answer itself is complete.
	ExitRefused = 1
	// ExitUsage: the command line is wrong, or what it names cannot be read. There is no answer.
	ExitUsage = 2
)

// ExitError ends a command with an exit code other than 0.
type ExitError struct {
	Code int
	// Err is what is left to tell the user; nil where the output has said everything.
	Err error
}

// Error is empty where there is nothing left to tell.
func (e ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e ExitError) Unwrap() error { return e.Err }

func usage(err error) error { return ExitError{Code: ExitUsage, Err: err} }
