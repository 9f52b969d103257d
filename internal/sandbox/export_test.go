package sandbox

import "time"

// SetQuietTime shortens what Await waits, for the tests only.
func (c *Cloud) SetQuietTime(d time.Duration) { c.quietTime = d }
