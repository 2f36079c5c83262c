package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const feed = `{"type":"FeatureCollection","features":[
 {"id":"c","properties":{"time":3000,"mag":null}},
 {"id":"b","properties":{"time":2000,"mag":2.5}},
 {"id":"a","properties":{"time":1000,"mag":4}}]}`

func TestQuery(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "feed.json")
	if err := os.WriteFile(file, []byte(feed), 0o600); err != nil {
		t.Fatal(err)
	}
	events, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	const all = "starttime=1970-01-01&endtime=1970-01-02&"
	tests := []struct {
		name, query string
		status      int
		ids         []string
	}{
		{"newest first", all, 200, []string{"c", "b", "a"}},
		{"oldest first", all + "orderby=time-asc", 200, []string{"a", "b", "c"}},
		{"strongest first", all + "orderby=magnitude", 200, []string{"a", "b", "c"}},
		{"weakest first", all + "orderby=magnitude-asc", 200, []string{"c", "b", "a"}},
		{"no unknown magnitude", all + "minmagnitude=-5", 200, []string{"b", "a"}},
		{"strong", all + "minmagnitude=4", 200, []string{"a"}},
		{"both ends are included", "starttime=1970-01-01T00:00:01&endtime=1970-01-01T00:00:02", 200, []string{"b", "a"}},
		{"a zone", "starttime=1970-01-01T01:00:02%2B01:00&endtime=1970-01-01T00:00:02Z", 200, []string{"b"}},
		{"a page", all + "limit=1&offset=2", 200, []string{"b"}},
		{"behind the last page", all + "limit=1&offset=4", 200, nil},
		{"the last month has none", "", 200, nil},
		{"too much at once", all + "limit=20001", 400, nil},
		{"offset starts at one", all + "offset=0", 400, nil},
		{"another format", all + "format=csv", 400, nil},
		{"not a time", "starttime=yesterday", 400, nil},
		{"not an order", all + "orderby=place", 400, nil},
		{"unknown parameter", all + "catalog=us", 400, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			handler(events, 0).ServeHTTP(w, httptest.NewRequest("GET", "/fdsnws/event/1/query?"+tt.query, nil))
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if diff := cmp.Diff(tt.ids, ids(t, w)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func ids(t *testing.T, w *httptest.ResponseRecorder) []string {
	t.Helper()
	if w.Code != 200 {
		return nil
	}
	var doc struct {
		Metadata struct{ Count int }
		Features []struct{ ID string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Metadata.Count != len(doc.Features) {
		t.Errorf("metadata counts %d of %d", doc.Metadata.Count, len(doc.Features))
	}
	var ids []string
	for _, f := range doc.Features {
		ids = append(ids, f.ID)
	}
	return ids
}
