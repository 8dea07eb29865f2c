package main

import (
	"io"

	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/core/prometheus"
)

// What go-zero's middlewares write goes where our access log goes, and its
// metrics are on.
func init() {
	logx.SetWriter(logx.NewWriter(io.Discard))
	prometheus.Enable()
}
