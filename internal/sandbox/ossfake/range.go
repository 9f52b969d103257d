package ossfake

import (
	"net/http"
	"strconv"
	"strings"
)

// parseRange reads the Range header. A range that does not fit is ignored and the whole object sent, as OSS does unless it is
// asked for standard behaviour (https://help.aliyun.com/zh/oss/developer-reference/getobject).
func parseRange(h http.Header, size int64) (start, length int64, partial bool, err error) {
	whole := func() (int64, int64, bool, error) { return 0, size, false, nil }
	spec, ok := strings.CutPrefix(h.Get("Range"), "bytes=")
	if !ok {
		return whole()
	}
	standard := h.Get("x-oss-range-behavior") == "standard"
	unsatisfiable := func() (int64, int64, bool, error) {
		if !standard {
			return whole()
		}
		e := errorf(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "", "The requested range cannot be satisfied.")
		e.header = map[string]string{"Content-Range": "bytes */" + strconv.FormatInt(size, 10)}
		return 0, 0, false, e
	}
	first, last, ok := strings.Cut(spec, "-")
	if !ok || strings.ContainsAny(spec, ", ") {
		return whole()
	}
	if first == "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return whole()
		}
		if n == 0 || size == 0 {
			return unsatisfiable()
		}
		n = min(n, size)
		return size - n, n, true, nil
	}
	start, err = strconv.ParseInt(first, 10, 64)
	if err != nil || start < 0 {
		return whole()
	}
	if start >= size {
		return unsatisfiable()
	}
	end := size - 1
	if last != "" {
		if end, err = strconv.ParseInt(last, 10, 64); err != nil || end < start {
			return whole()
		}
		if end >= size {
			if !standard {
				return whole()
			}
			end = size - 1
		}
	}
	return start, end - start + 1, true, nil
}
