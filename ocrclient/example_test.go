package ocrclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"fc-idcard-ocr/ocrclient"
)

// Recognise a picture on disk, and know what a failure means for the bill.
func ExampleClient_Recognize() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"showapi_res_code":0,"showapi_res_id":"642644970de376872d071c9f","showapi_res_body":{"ret_code":0,"flag":true,"msg":"识别成功!","idNo":"11010519491231002X","name":"样张"}}`)
	}))
	defer gateway.Close()

	client := &ocrclient.Client{
		Endpoint: gateway.URL, // leave empty for the real API
		Auth:     ocrclient.AppKey{Key: os.Getenv("OCR_APP_KEY"), Secret: os.Getenv("OCR_APP_SECRET")},
	}
	image, err := os.ReadFile("../testdata/cards/scan-01.jpg")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	answer, err := client.Recognize(ctx, ocrclient.Request{Image: image, Details: true})
	var failed *ocrclient.Error
	switch {
	case errors.As(err, &failed):
		fmt.Println(failed.Code, "may have been charged:", failed.MayHaveCharged())
	case err != nil:
		log.Fatal(err)
	case !answer.Recognized:
		fmt.Println(answer.Code(), "charged:", answer.Charged)
	default:
		fmt.Println(answer.Card.Name, answer.Card.IDNumber, "charged:", answer.Charged)
	}
	// Output: 样张 11010519491231002X charged: true
}
