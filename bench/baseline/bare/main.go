// Command bare is the smallest possible function in Go: the runtime SDK and a handler that does nothing. It is the baseline
// for start-up time and package size.
package main

import (
	"context"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
)

func main() {
	fc.Start(func(context.Context, []byte) ([]byte, error) { return []byte("{}"), nil })
}
