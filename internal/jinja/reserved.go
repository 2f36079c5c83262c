package jinja

import (
	"strings"
	"time"
)

// maxSafeLine is the longest LineSafe, in bytes: it becomes a part of a file name.
const maxSafeLine = 100

// LineSafe makes a line of data fit for a file name: runs of characters outside [A-Za-z0-9._-] become one "_",
// and the result is cut to 100 bytes.
func LineSafe(line string) string {
	var b strings.Builder
	replaced := false
	for i := 0; i < len(line) && b.Len() < maxSafeLine; i++ {
		c := line[i]
		ok := isAlnum(c) || c == '.' || c == '_' || c == '-'
		switch {
		case ok:
			b.WriteByte(c)
		case !replaced:
			b.WriteByte('_')
		}
		replaced = !ok
	}
	return b.String()
}

// Reserved returns the variables that every template has: the names of the env stage (empty for prod), the dates
// around now in its own location, the id of the run and its working folder.
func Reserved(envStage string, now time.Time, runID, workDir string) Vars {
	v := Vars{
		"_stage": "", "_stage_": "", "_stage-": "", "__stage": "", "__stage_": "",
		"_today":     now.Format(time.DateOnly),
		"_yesterday": now.AddDate(0, 0, -1).Format(time.DateOnly),
		"_tomorrow":  now.AddDate(0, 0, 1).Format(time.DateOnly),
		"_run_id":    runID,
		"work_dir":   workDir,
	}
	if envStage != "prod" {
		v["_stage"] = envStage
		v["_stage_"] = envStage + "_"
		v["_stage-"] = envStage + "-"
		v["__stage"] = "_" + envStage
		v["__stage_"] = "_" + envStage + "_"
	}
	return v
}
