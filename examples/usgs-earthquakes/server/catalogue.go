package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"
)

// maxAllowed is the most events that one answer may hold, as in the real service.
const maxAllowed = 20000

// event is one feature of the file: the whole text, and the two values that queries look at.
type event struct {
	raw       json.RawMessage
	time      int64    // milliseconds since 1970
	magnitude *float64 // nil: not known
}

func load(file string) ([]event, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc struct{ Features []json.RawMessage }
	if err := json.Unmarshal(src, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	events := make([]event, 0, len(doc.Features))
	for i, raw := range doc.Features {
		var f struct {
			Properties struct {
				Time int64
				Mag  *float64
			}
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, fmt.Errorf("read %s: feature %d: %w", file, i, err)
		}
		events = append(events, event{raw, f.Properties.Time, f.Properties.Mag})
	}
	return events, nil
}

// query is one request, with the defaults of the real service.
type query struct {
	start, end    int64 // milliseconds, both included
	minMagnitude  *float64
	limit, offset int // offset starts at 1
	orderBy       string
}

func parseQuery(v url.Values) (query, error) {
	q := query{end: time.Now().UnixMilli(), limit: maxAllowed, offset: 1, orderBy: "time"}
	q.start = q.end - (30 * 24 * time.Hour).Milliseconds()
	for name := range v {
		if err := q.set(name, v.Get(name)); err != nil {
			return q, fmt.Errorf("bad %s value %q: %w", name, v.Get(name), err)
		}
	}
	return q, nil
}

func (q *query) set(name, value string) (err error) {
	switch name {
	case "format":
		if value != "geojson" {
			err = fmt.Errorf("only geojson is served")
		}
	case "starttime":
		q.start, err = parseTime(value)
	case "endtime":
		q.end, err = parseTime(value)
	case "minmagnitude":
		var m float64
		m, err = strconv.ParseFloat(value, 64)
		q.minMagnitude = &m
	case "limit":
		q.limit, err = between(value, 1, maxAllowed)
	case "offset":
		q.offset, err = between(value, 1, 1<<31-1)
	case "orderby":
		q.orderBy = value
		if !slices.Contains([]string{"time", "time-asc", "magnitude", "magnitude-asc"}, value) {
			err = fmt.Errorf("not an order")
		}
	default:
		err = fmt.Errorf("unknown parameter")
	}
	return err
}

func between(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err == nil && (n < low || n > high) {
		err = fmt.Errorf("not between %d and %d", low, high)
	}
	return n, err
}

// parseTime reads ISO 8601; a time without a zone is UTC.
func parseTime(text string) (int64, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("not an ISO 8601 time")
}

// selected returns the events between the bounds, in order, before limit and offset.
func (q query) selected(all []event) []event {
	var found []event
	for _, e := range all {
		inTime := e.time >= q.start && e.time <= q.end
		strong := q.minMagnitude == nil || e.magnitude != nil && *e.magnitude >= *q.minMagnitude
		if inTime && strong {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, q.compare)
	return found
}

func (q query) compare(a, b event) int {
	switch q.orderBy {
	case "time-asc":
		return cmp.Compare(a.time, b.time)
	case "magnitude":
		return cmp.Compare(b.strength(), a.strength())
	case "magnitude-asc":
		return cmp.Compare(a.strength(), b.strength())
	default:
		return cmp.Compare(b.time, a.time)
	}
}

func (e event) strength() float64 {
	if e.magnitude == nil {
		return -10
	}
	return *e.magnitude
}

func handler(all []event, delay time.Duration) http.Handler {
	mux := http.NewServeMux()
	serve := func(answer func(r *http.Request, q query) any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			q, err := parseQuery(r.URL.Query())
			if err != nil {
				http.Error(w, "Error 400: Bad Request\n\n"+err.Error(), http.StatusBadRequest)
				return
			}
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
				return
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_ = json.NewEncoder(w).Encode(answer(r, q))
		}
	}
	mux.HandleFunc("GET /fdsnws/event/1/query", serve(func(r *http.Request, q query) any { return page(all, r, q) }))
	mux.HandleFunc("GET /fdsnws/event/1/count", serve(func(_ *http.Request, q query) any {
		return map[string]int{"count": len(q.selected(all)), "maxAllowed": maxAllowed}
	}))
	return mux
}

// collection is the answer of /query: GeoJSON with the metadata of the real service.
type collection struct {
	Type     string            `json:"type"`
	Metadata metadata          `json:"metadata"`
	Features []json.RawMessage `json:"features"`
}

type metadata struct {
	Generated int64  `json:"generated"`
	URL       string `json:"url"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	API       string `json:"api"`
	Limit     int    `json:"limit"`
	Offset    int    `json:"offset"`
	Count     int    `json:"count"`
}

func page(all []event, r *http.Request, q query) collection {
	found := q.selected(all)
	from := min(q.offset-1, len(found))
	found = found[from:min(from+q.limit, len(found))]
	features := make([]json.RawMessage, len(found))
	for i, e := range found {
		features[i] = e.raw
	}
	return collection{
		Type: "FeatureCollection",
		Metadata: metadata{
			Generated: time.Now().UnixMilli(), URL: "http://" + r.Host + r.URL.RequestURI(), Title: "USGS Earthquakes",
			Status: http.StatusOK, API: "1.14.1", Limit: q.limit, Offset: q.offset, Count: len(found),
		},
		Features: features,
	}
}
