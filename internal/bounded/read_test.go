package bounded

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestADeclaredLengthClaimsNoMemory(t *testing.T) {
	const most = 7 << 20
	body, err := Read(nil, Source{strings.NewReader("{}"), most}, most)
	if err != nil || string(body) != "{}" {
		t.Fatalf("Read = %q, %v", body, err)
	}
	if cap(body) > 2*firstRead {
		t.Errorf("%d bytes were claimed by a header alone", cap(body))
	}
}

func TestRead(t *testing.T) {
	for name, tc := range map[string]struct {
		declared int64
		most     int
		want     error
	}{
		"no length is declared":            {declared: -1, most: 5},
		"the length is zero":               {declared: 0, most: 5},
		"the length is too small":          {declared: 1, most: 5},
		"the length is exact":              {declared: 5, most: 5},
		"the length is too large":          {declared: 1000, most: 2000},
		"the declared length is too much":  {declared: 6, most: 5, want: ErrTooLarge},
		"more comes than was declared":     {declared: 3, most: 4, want: ErrTooLarge},
		"more comes and nothing was said":  {declared: -1, most: 4, want: ErrTooLarge},
		"the limit is reached to the byte": {declared: -1, most: 5},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read([]byte("left over"), Source{strings.NewReader("abcde"), tc.declared}, tc.most)
			if !errors.Is(err, tc.want) || len(got) > tc.most+1 {
				t.Fatalf("Read = %q, %v, want %v", got, err, tc.want)
			}
			if tc.want == nil && string(got) != "abcde" {
				t.Errorf("Read = %q", got)
			}
		})
	}
	if _, err := Read(nil, Source{iotest.ErrReader(io.ErrUnexpectedEOF), -1}, 9); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("err %v, want it to wrap that of the reader", err)
	}
}
