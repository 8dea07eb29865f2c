//go:build linux || darwin || freebsd

package health

import "syscall"

const hasRoom = true

func roomOf(path string) (room, error) {
	var s syscall.Statfs_t
	for {
		err := syscall.Statfs(path, &s)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return room{}, err
		}
		// As df(1) does it: what is reserved for root is neither free nor used.
		return room{
			bytes: share(float64(s.Bavail), float64(s.Blocks)-float64(s.Bfree)),
			files: share(float64(s.Ffree), float64(s.Files)-float64(s.Ffree)),
		}, nil
	}
}
