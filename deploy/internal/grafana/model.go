package main

import (
	"bytes"
	"encoding/json"
)

// The classic dashboard model, which Grafana imports from version 9 on. Fields
// that have their default are left out.

type object map[string]any

type dashboard struct {
	uid, title, description string
	variables               []object
	panels                  []panel
}

type panel struct {
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	ID          int      `json:"id"`
	GridPos     gridPos  `json:"gridPos"`
	Collapsed   *bool    `json:"collapsed,omitempty"`
	Panels      *[]panel `json:"panels,omitempty"`
	Datasource  object   `json:"datasource,omitempty"`
	FieldConfig object   `json:"fieldConfig,omitempty"`
	Options     object   `json:"options,omitempty"`
	Targets     []query  `json:"targets,omitempty"`
	Transforms  []object `json:"transformations,omitempty"`
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type query struct {
	RefID      string `json:"refId"`
	Datasource object `json:"datasource"`
	Expr       string `json:"expr"`
	Legend     string `json:"legendFormat,omitempty"`
	Format     string `json:"format"`
	Instant    bool   `json:"instant,omitempty"`
	Range      bool   `json:"range,omitempty"`
	Exemplar   bool   `json:"exemplar,omitempty"`
	EditorMode string `json:"editorMode"`
}

const (
	columns       = 24
	schemaVersion = 39
)

var prometheus = object{"type": "prometheus", "uid": "${datasource}"}

// render lays the panels out, left to right and top to bottom, and gives them
// their ids.
func (d dashboard) render() ([]byte, error) {
	x, y, high := 0, 0, 0
	for i := range d.panels {
		p := &d.panels[i]
		p.ID = i + 1
		if x+p.GridPos.W > columns {
			x, y, high = 0, y+high, 0
		}
		p.GridPos.X, p.GridPos.Y = x, y
		x, high = x+p.GridPos.W, max(high, p.GridPos.H)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(object{
		"uid": d.uid, "title": d.title, "description": d.description,
		"tags": []string{"handrail"}, "schemaVersion": schemaVersion, "version": 1,
		"editable": true, "graphTooltip": 1, "timezone": "browser", "refresh": "30s",
		"time":        object{"from": "now-1h", "to": "now"},
		"templating":  object{"list": d.variables},
		"annotations": object{"list": []object{}},
		"links": []object{{
			"type": "dashboards", "title": "handrail", "tags": []string{"handrail"},
			"asDropdown": true, "includeVars": true, "keepTime": true,
		}},
		"panels": d.panels,
	})
	return out.Bytes(), err
}
