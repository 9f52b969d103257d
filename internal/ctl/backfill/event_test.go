package backfill

import (
	"encoding/json"
	"testing"
	"time"

	"fc-idcard-ocr/internal/ctl/ossclient"

	"github.com/aliyun/fc-runtime-go-sdk/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheEventIsOneThatOSSCouldHaveSent(t *testing.T) {
	image := ossclient.Object{Key: `2026/身份证 "a"+%20.jpg`, ETag: "7D73E1052AF595535DE90994F4C3E6D5", Size: 29203}
	text := uploadEvent("cards", "cn-hangzhou", image, time.Date(2026, 11, 23, 8, 0, 0, 5e6, time.FixedZone("CST", 8*3600)))
	var e events.OssEvent // the vendor's own type
	require.NoError(t, json.Unmarshal(text, &e))
	require.Len(t, e.Events, 1)
	r := e.Events[0]
	assert.Equal(t, "ObjectCreated:PutObject", *r.EventName)
	assert.Equal(t, "acs:oss", *r.EventSource)
	assert.Equal(t, "cn-hangzhou", *r.Region)
	assert.Equal(t, "cards", *r.Oss.Bucket.Name)
	assert.Equal(t, image.Key, *r.Oss.Object.Key)
	assert.Equal(t, image.ETag, *r.Oss.Object.ETag)
	assert.EqualValues(t, image.Size, *r.Oss.Object.Size)
	assert.Contains(t, string(text), `"eventTime":"2026-11-23T00:00:00.005Z"`)
	longest := ossclient.Object{Key: string(make([]byte, 1023))} // each byte six characters in JSON
	assert.Less(t, len(uploadEvent("cards", "cn-hangzhou", longest, time.Now())), 128<<10, "what FC takes asynchronously")
}
