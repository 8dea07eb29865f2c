package main

import "fmt"

func healthiness() dashboard {
	is := func(group, status string) string {
		return series("handrail_health_status", fmt.Sprintf("group=%q,status=%q", group, status))
	}
	check := func(name, matchers string) string { return series("handrail_health_check_"+name, matchers) }
	// worst is 0 where all is well, 1 with concerns, 2 where it fails.
	worst := func(by, warn, fail string) string {
		return fmt.Sprintf("%s + 2 * %s", most(by, warn), most(by, fail))
	}
	states := []object{state(0, "pass", "green"), state(1, "warn", "orange"), state(2, "fail", "red"), state(3, "fail", "red")}
	return dashboard{
		uid: "handrail-health", title: "handrail / Health",
		description: "What the probes are told, and the checks behind it.",
		variables:   variables("handrail_health_draining"),
		panels: []panel{
			row("Now"),
			stat("Ready", "Instances that ask for traffic, with concerns or without.", count,
				fmt.Sprintf("sum(1 - %s)", most("job, instance", is("ready", "fail")))),
			stat("Not ready", "Instances that get no traffic.", count, sum("", most("job, instance", is("ready", "fail"))), 1, 2),
			stat("With concerns", "Ready instances that warn.", count, sum("", most("job, instance", is("ready", "warn"))), 1),
			stat("Going down", "Instances that drain.", count, sum("", series("handrail_health_draining", "")), 1),
			stat("Not alive", "Instances that the platform restarts.", count, sum("", most("job, instance", is("live", "fail"))), 1, 2),
			stat("Stuck checks", "Runs that ignore that their time is over.", count, sum("", check("stuck", "")), 1, 2),

			row("Over time"),
			timeline("Readiness", "Of each instance. All of them red at the same moment is a dependency that they share.",
				worst("instance", is("ready", "warn"), is("ready", "fail")), "{{instance}}", states...),
			timeline("Checks", "The worst of all instances.",
				worst("check", check("status", `status="warn"`), check("status", `status="fail"`)), "{{check}}", states...),

			row("Probes"),
			graph("Instances by readiness", "What load balancers are told.", count,
				q(sum("status", series("handrail_health_status", `group="ready"`)), "{{status}}")).stacked(),
			graph("Started", "Instances whose startup probe passes, and those that have not come up yet.", count,
				q(sum("status", series("handrail_health_status", `group="startup"`)), "{{status}}")).stacked(),
			graph("Alive", "Instances whose liveness probe fails are restarted.", count,
				q(sum("status", series("handrail_health_status", `group="live"`)), "{{status}}")).stacked(),

			row("Checks"),
			graph("Duration", "Of the last run, the slowest instance. A step up comes before a failure.", seconds,
				q(most("check", check("duration_seconds", "")), "{{check}}")),
			graph("Since the last success", "Of the instance where it is longest ago.", seconds,
				q(most("check", fmt.Sprintf("time() - %s", check("last_success_timestamp_seconds", ""))), "{{check}}")),
			graph("Transitions", "Changes of status per second. A check that flaps needs a higher FailAfter, or a longer timeout.", events,
				q(sum("check", rate("handrail_health_check_transitions_total", "")), "{{check}}")),
			graph("Results", "Per second.", events,
				q(sum("check, status", rate("handrail_health_check_results_total", "")), "{{check}} {{status}}")),
			graph("Runs", "Per second. A line at 0 is a check that is stuck, or a process that is frozen.", events,
				q(sum("check", rate("handrail_health_check_runs_total", "")), "{{check}}")),
			graph("Events dropped", "Not handed to a callback or log that blocked, per second.", events,
				q(sum("instance", rate("handrail_health_dropped_events_total", "")), "{{instance}}")),
		},
	}
}
