package fcclient

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"fc-idcard-ocr/internal/ctl/acsapi"
)

// ReservedConcurrency asks how many instances the function may have at a time; ok is false if nothing is reserved, and only the
// account's own limit holds. (GetConcurrencyConfig)
func (c *Client) ReservedConcurrency(ctx context.Context) (instances int64, ok bool, err error) {
	answer, err := c.call(ctx, acsapi.Request{Method: http.MethodGet, Action: "GetConcurrencyConfig"}, "/concurrency")
	var failed *Error
	if errors.As(err, &failed) && failed.Status == http.StatusNotFound && failed.Code != "FunctionNotFound" {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	var config struct {
		ReservedConcurrency *int64 `json:"reservedConcurrency"`
	}
	if err := answer.Decode(&config); err != nil || config.ReservedConcurrency == nil {
		return 0, false, err
	}
	return *config.ReservedConcurrency, true, nil
}

// Reserve sets how many instances the function may have at a time. With 0 nothing runs: Function Compute answers each invocation
// as throttled, and repeats asynchronous ones until they are too old. (PutConcurrencyConfig)
func (c *Client) Reserve(ctx context.Context, instances int64) error {
	body, err := json.Marshal(map[string]int64{"reservedConcurrency": instances})
	if err != nil {
		return err
	}
	_, err = c.call(ctx, acsapi.Request{Method: http.MethodPut, Action: "PutConcurrencyConfig", Header: map[string]string{"Content-Type": "application/json"}, Body: body}, "/concurrency")
	return err
}
