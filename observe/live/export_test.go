package live

// Drawn are the names of all metrics that plots are made of.
func Drawn() (names []string) {
	for _, p := range plots {
		for _, r := range p.rules {
			names = append(names, r.metric)
			if r.promise != "" {
				names = append(names, r.promise)
			}
		}
	}
	return names
}
