// Package gates holds the figures that the adaptive strategy of package shed
// has to reach, as tests in the simulator of package shed/sim.
//
// Each runs on services drawn from a seed: how many workers, how long they
// take and how unevenly, whether they are a pool or share processors, how long
// clients wait. So nothing can be tuned to one case. Run the tests with -v to
// see the figures.
package gates
