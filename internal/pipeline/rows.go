package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
)

const (
	maxStreams = 1000        // names that are kept; what is beyond them is counted under others
	others     = "(others)"  // no Singer stream is called so
	unnamed    = "(unnamed)" // a program counts without saying what
)

// A rowTally adds up records by the name of their stream. What different sources say of one stream is the same records, counted
// by different programs: the highest counts.
type rowTally struct {
	mu sync.Mutex
	by map[string]map[string]int64 // stream -> source -> records
}

func (t *rowTally) add(stream, source string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]map[string]int64{}
	}
	if t.by[stream] == nil && len(t.by) >= maxStreams {
		stream = others
	}
	if t.by[stream] == nil {
		t.by[stream] = map[string]int64{}
	}
	t.by[stream][source] += n
}

func (t *rowTally) addAll(rows map[string]int64, source string) {
	for stream, n := range rows {
		t.add(stream, source, n)
	}
}

// rows returns the records by stream; nil: nobody has counted.
func (t *rowTally) rows() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out map[string]int64
	for stream, sources := range t.by {
		if out == nil {
			out = make(map[string]int64, len(t.by))
		}
		out[stream] = slices.Max(slices.Collect(maps.Values(sources)))
	}
	return out
}

// A metric is what a Singer tap or target logs of its records.
type metric struct {
	Type   string         `json:"type"`
	Metric string         `json:"metric"`
	Value  json.Number    `json:"value"`
	Tags   map[string]any `json:"tags"`
}

// rowsIn returns how many more records of a stream a line of a log tells of. There are two forms, with anything before and
// behind: `METRIC: {...}` of singer-python and of the Meltano SDK, and "metric_info": {...} where that logs JSON. The source tells
// apart what is counted: a tap from a target behind the same stderr, rows that were received from those that are stored.
func rowsIn(line string) (stream, source string, n int64, ok bool) {
	if !strings.Contains(line, "record_count") {
		return "", "", 0, false
	}
	text, found := after(line, "METRIC: ", `"metric_info":`)
	var m metric
	if !found || json.NewDecoder(strings.NewReader(text)).Decode(&m) != nil || m.Type != "counter" || m.Metric != "record_count" {
		return "", "", 0, false
	}
	n, err := m.Value.Int64()
	return m.stream(), m.source(), n, err == nil && n >= 0
}

func after(line string, marks ...string) (string, bool) {
	for _, mark := range marks {
		if _, rest, found := strings.Cut(line, mark); found {
			return rest, true
		}
	}
	return "", false
}

func (m *metric) stream() string {
	for _, tag := range []string{"stream", "endpoint", "table"} {
		if name, _ := m.Tags[tag].(string); name != "" {
			return name
		}
	}
	return unnamed
}

func (m *metric) source() string {
	source := strings.Join(slices.Sorted(maps.Keys(m.Tags)), " ")
	if counted, _ := m.Tags["count_type"].(string); counted != "" {
		source += " " + counted
	}
	return source
}
