package stream

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkChecker is what a contract costs for each byte of a stream of Singer records.
func BenchmarkChecker(b *testing.B) {
	var text bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&text, `{"type": "RECORD", "stream": "users", "record": {"id": %d, "name": "user %d", "email": "u%d@example.com", "address": "1 Long Street, Some Town", "created_at": "2026-11-26T02:00:00Z", "amount": %d.5}, "time_extracted": "2026-11-26T02:00:00Z"}`+"\n", i, i, i, i)
	}
	for name, c := range map[string]Contract{
		"rows":    {Rules: Rules{Rows: Rows{Min: 1}}},
		"columns": {Rules: Rules{Columns: []string{"id", "email"}}},
		"unique":  {Rules: Rules{Unique: []string{"id"}}},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				k := NewChecker(c, Before{})
				for t := text.Bytes(); len(t) > 0; t = t[min(len(t), 256<<10):] {
					if _, err := k.Write(t[:min(len(t), 256<<10)]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
