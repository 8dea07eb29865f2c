// Package deploy proves what is in the folder deploy of the toolkit: that every
// metric and label that the rules, alerts and dashboards name is written by a
// running service, that a real Prometheus server answers all of their
// expressions, and that the files are what their readers accept.
package deploy
