//go:build !linux && !darwin && !freebsd

package health

import "errors"

const hasRoom = false

func roomOf(string) (room, error) { return room{}, errors.ErrUnsupported }
