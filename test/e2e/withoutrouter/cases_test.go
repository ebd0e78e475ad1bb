package main

import (
	"io"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	const works = `{"Action":"run","Test":"TestA/install"}
{"Action":"output","Test":"TestA/install","Output":"x\n"}
{"Action":"pass","Test":"TestA/install"}
`
	for name, tc := range map[string]struct{ events, says, wants string }{
		"as it should be": {works + `{"Action":"fail","Test":"TestA/router:_skip"}
{"Action":"fail","Test":"TestA"}`, "1 procedures. 1 of 1 cases of the router fail without it; 1 of 1 others pass.", ""},
		"a case that passes without the router": {works + `{"Action":"pass","Test":"TestA/router:_skip"}
{"Action":"fail","Test":"TestA/router:_first"}`, "1 of 2 cases", "TestA/router:_skip: pass"},
		"a case that is skipped": {works + `{"Action":"skip","Test":"TestA/router:_skip"}`, "0 of 1 cases", "TestA/router:_skip: skip"},
		"one that should pass": {`{"Action":"fail","Test":"TestA/install"}
{"Action":"fail","Test":"TestA/router:_skip"}`, "0 of 1 others", "TestA/install: fail"},
		"one that tells why": {`{"Action":"output","Test":"TestA/install","Output":"no such file"}
{"Action":"fail","Test":"TestA/install"}
{"Action":"fail","Test":"TestA/router:_skip"}`, "no such file", "TestA/install: fail"},
		"nothing at all":  {"", "0 procedures", "no case of the router was run"},
		"no JSON, at all": {"FAIL", "", "reading what go test says"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			c, err := read(strings.NewReader(tc.events), io.Discard)
			if err == nil {
				err = c.judge(&out)
			}
			if !strings.Contains(out.String(), tc.says) {
				t.Errorf("it says %q, want %q", out.String(), tc.says)
			}
			if tc.wants == "" && err != nil || tc.wants != "" && (err == nil || !strings.Contains(err.Error(), tc.wants)) {
				t.Errorf("got %v, want %q", err, tc.wants)
			}
		})
	}
}
