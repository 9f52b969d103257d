package sandbox

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"

	"fc-idcard-ocr/internal/loopback"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/internal/sandbox/fcapi"
	"fc-idcard-ocr/internal/sandbox/fcfake"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
)

// functionName is the function's name, on the Function Compute API as in its environment.
const functionName = "idcard-ocr"

const accountID = "1234567890123456"

// triggerMux serves, beside the HTTP trigger and on its port, the Function Compute API and the discovery file that says where
// everything is. The paths do not meet: the trigger's are those of the function's HTTP API.
func (c *Cloud) triggerMux(trigger http.Handler) http.Handler {
	info, settings := c.info(), c.Runtime.Settings()
	api := fcapi.New(fcapi.Config{
		Name: functionName, Function: c.Runtime, Keys: map[string]string{AccessKeyID: AccessKeySecret},
		Description: c.description(settings), Triggers: c.triggers(),
		Async: map[string]any{"maxAsyncRetryAttempts": settings.MaxRetries, "maxAsyncEventAgeInSeconds": int(settings.MaxAge.Seconds()),
			"destinationConfig": map[string]any{"onFailure": map[string]any{"destination": "acs:mns:" + Region + ":" + accountID + ":/queues/" + FailureQueue + "/messages"}}},
		Concurrency: map[string]any{"reservedConcurrency": settings.MaxInstances}, Reserve: c.Runtime.Reserve,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, fcapi.Prefix):
			api.ServeHTTP(w, r)
		case r.URL.Path == "/"+sandboxinfo.FileName:
			info.ServeHTTP(w, r)
		default:
			trigger.ServeHTTP(w, r)
		}
	})
}

// description is the configuration of the function, as returned by GetFunction.
func (c *Cloud) description(settings fcfake.Settings) map[string]any {
	variables := make(map[string]string)
	for _, pair := range c.environment {
		name, value, _ := strings.Cut(pair, "=")
		variables[name] = value
	}
	return map[string]any{
		"functionName": functionName, "functionArn": "acs:fc:" + Region + ":" + accountID + ":functions/" + functionName, "runtime": string(settings.Mode), "timeout": int(settings.Timeout.Seconds()),
		"role": "acs:ram::" + accountID + ":role/idcard-ocr", "environmentVariables": variables,
		"logConfig": map[string]string{"project": "fc-idcard-ocr", "logstore": "fc-idcard-ocr"},
	}
}

// info is what clients need to know. Write puts it into the sandbox's folder, Close takes it away.
func (c *Cloud) info() sandboxinfo.Info {
	return sandboxinfo.Info{
		Dir: c.dir(), Console: c.ManagementURL,
		OSS: c.OSSEndpoint, OCR: c.OCREndpoint, FC: c.TriggerURL, Trigger: c.TriggerURL,
		Market: c.MarketEndpoint, MNS: c.MarketEndpoint,
		Region: Region, Bucket: c.Bucket, Function: functionName, Account: accountID,
		FailureQueue: FailureQueue, ProductCode: ProductCode, AsyncSpeedup: c.Runtime.Settings().Speedup,
		AccessKeyID: AccessKeyID, AccessKeySecret: AccessKeySecret, AppKey: AppKey, AppSecret: AppSecret,
	}
}

// dir is the sandbox's folder.
func (c *Cloud) dir() string { return filepath.Dir(c.FailureDir) }

// triggers are those of the bucket: one for each suffix, in lower and upper case, and the HTTP trigger.
func (c *Cloud) triggers() []map[string]any {
	list := []map[string]any{{"triggerName": "http", "triggerType": "http", "triggerConfig": `{"authType":"anonymous","methods":["GET","HEAD","POST"]}`}}
	events := make([]string, len(result.CreateEvents))
	for i, event := range result.CreateEvents {
		events[i] = "oss:" + event
	}
	for _, suffix := range ImageSuffixes {
		for name, cased := range map[string]string{"lower": suffix, "upper": strings.ToUpper(suffix)} {
			config, _ := json.Marshal(map[string]any{"events": events, "filter": map[string]any{"key": map[string]string{"prefix": "", "suffix": cased}}})
			list = append(list, map[string]any{
				"triggerName": "oss-" + strings.TrimPrefix(suffix, ".") + "-" + name, "triggerType": "oss",
				"sourceArn": "acs:oss:" + Region + ":" + accountID + ":" + c.Bucket, "triggerConfig": string(config),
			})
		}
	}
	return list
}

// gatewayMux serves, beside the OCR gateway and on its port, the market's API and the message queues. The paths do not meet: the
// gateway knows its own one only.
func gatewayMux(ocr, market, queues http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			market.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/queues/"):
			queues.ServeHTTP(w, r)
		default:
			ocr.ServeHTTP(w, r)
		}
	})
}

// refuseHost answers a request under a host name that is not loopback's, as a web page can make a browser send (DNS rebinding): it would
// get the listing, the pictures and, from the discovery file, the keys.
func refuseHost(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, loopback.ErrHost.Error(), http.StatusForbidden)
}
