package state

import (
	"encoding/json"
	"slices"
	"strings"
)

// isLog reports whether a JSON object is what a program writes to its log, or a measurement: it has a level and a text, a time
// and a message, or a metric and a value, under one of the names that logging libraries give them.
func isLog(fields map[string]json.RawMessage) bool {
	has := map[string]bool{}
	for key, field := range fields {
		kind := kindOf(strings.ToLower(key))
		switch kind {
		case "level":
			has["word"] = has["word"] || isLevel(field)
		case "message", "text":
			if field[0] != '"' {
				continue
			}
		case "nested":
			var inner map[string]json.RawMessage
			if json.Unmarshal(field, &inner) == nil && (isLog(inner) || isLevel(inner["level"])) {
				return true
			}
		}
		has[kind] = true
	}
	return has["word"] || has["level"] && (has["text"] || has["message"]) || has["time"] && has["message"] || has["metric"] && has["value"]
}

// kindOf says what the field with this name is in a line of a log; "" for other names.
func kindOf(key string) string {
	switch key {
	case "level", "levelname", "levelno", "severity", "lvl", "loglevel", "log_level", "log.level", "@level", "@l":
		return "level"
	case "message", "msg", "@message", "@m", "@mt", "messagetemplate":
		return "message"
	case "event", "text", "short_message":
		return "text"
	case "timestamp", "@timestamp", "@t", "time", "ts", "asctime":
		return "time"
	case "metric", "metric_name", "metric_type":
		return "metric"
	case "value":
		return "value"
	case "log", "record", "info", "fields": // the line lies one level deeper
		return "nested"
	}
	return ""
}

// isLevel reports whether a field is the name of a level.
func isLevel(field json.RawMessage) bool {
	var name string
	if json.Unmarshal(field, &name) != nil {
		return false
	}
	levels := []string{"trace", "debug", "verbose", "info", "information", "notice", "warn", "warning", "err", "error", "severe", "critical", "crit", "alert", "fatal", "panic", "emergency", "default"}
	return slices.Contains(levels, strings.ToLower(name))
}
