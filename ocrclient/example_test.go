package ocrclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"fc-idcard-ocr/ocrclient"
	"fc-idcard-ocr/ocrclient/ocrclienttest"
)

// Recognise a picture on disk, and know what a failure means for the bill.
func ExampleClient_Recognize() {
	auth := ocrclient.AppKey{Key: "203753385", Secret: "own-secret"} // from your configuration
	api := ocrclienttest.NewServer(auth)                             // in place of the real API
	defer api.Close()

	client := &ocrclient.Client{Endpoint: api.URL, Auth: auth} // leave Endpoint empty for the real API
	image, err := os.ReadFile("../testdata/cards/scan-01.jpg")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second)
	defer cancel()

	response, err := client.Recognize(ctx, ocrclient.Request{Image: image, Details: true})
	var failed *ocrclient.Error
	switch {
	case errors.As(err, &failed):
		fmt.Println(failed.Code, "may have been charged:", failed.MayHaveCharged())
	case err != nil:
		log.Fatal(err)
	case !response.Recognized:
		fmt.Println(response.Code(), "charged:", response.Charged)
	default:
		fmt.Println(response.Card.Name, response.Card.IDNumber, "charged:", response.Charged)
	}
	// Output: 样张 11010519491231002X charged: true
}

// Send a call whose answer was lost once more, with the same nonce: it is never paid twice.
func ExampleOutcomeOf() {
	auth := ocrclient.AppCode("own-code")
	api := ocrclienttest.NewServer(auth)
	defer api.Close()
	api.Answer = func(ocrclienttest.Call) ocrclienttest.Answer {
		if len(api.Calls()) == 1 {
			return ocrclienttest.Lost()
		}
		return ocrclienttest.Card(ocrclienttest.SampleCard)
	}

	client := &ocrclient.Client{Endpoint: api.URL, Auth: auth}
	request := ocrclient.Request{ImageURL: "https://cards.example/a.jpg", Nonce: ocrclient.NewNonce()}
	response, err := client.Recognize(context.Background(), request)
	if ocrclient.OutcomeOf(err) == ocrclient.Indeterminate {
		response, err = client.Recognize(context.Background(), request)
	}
	switch {
	case ocrclient.OutcomeOf(err) == ocrclient.NonceUsed:
		fmt.Println("the first call arrived; its answer is gone, and another call would be paid")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println(response.Card.IDNumber)
	}
	// Output: the first call arrived; its answer is gone, and another call would be paid
}

// Wait as long as the gateway asks before the next call.
func ExampleError() {
	auth := ocrclient.AppCode("own-code")
	api := ocrclienttest.NewServer(auth)
	defer api.Close()
	api.Answer = func(ocrclienttest.Call) ocrclienttest.Answer {
		throttled := ocrclienttest.Refused(429, "Throttled by APP Flow Control")
		throttled.Header.Set("Retry-After", "2")
		return throttled
	}

	_, err := (&ocrclient.Client{Endpoint: api.URL, Auth: auth}).Recognize(context.Background(), ocrclient.Request{ImageURL: "https://cards.example/a.jpg"})
	var failed *ocrclient.Error
	if errors.As(err, &failed) && failed.Outcome == ocrclient.Refused {
		fmt.Println(failed.Code, "- the next call with a new nonce, in", failed.RetryAfter)
	}
	// Output: Throttled - the next call with a new nonce, in 2s
}

// Read an answer that was kept in a file.
func ExampleParseResponse() {
	response, err := ocrclient.ParseResponse(200, []byte(`{"ret_code":"-1","flag":false,"msg":"识别失败"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Code(), response.Message, "charged:", response.Charged)
	// Output: NotRecognized 识别失败 charged: false
}
