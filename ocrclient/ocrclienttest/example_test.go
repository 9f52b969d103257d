package ocrclienttest_test

import (
	"context"
	"fmt"

	"fc-idcard-ocr/ocrclient"
	"fc-idcard-ocr/ocrclient/ocrclienttest"
)

// A test that a program pays once although the answer of its first call was lost.
func ExampleServer() {
	server := ocrclienttest.NewServer(ocrclient.AppKey{Key: "key", Secret: "secret"})
	defer server.Close()
	server.Answer = func(ocrclienttest.Call) ocrclienttest.Answer { return ocrclienttest.Lost() }

	request := ocrclient.Request{ImageURL: "https://cards.example/a.jpg", Nonce: ocrclient.NewNonce()}
	for range 2 { // the program under test
		_, err := server.Client().Recognize(context.Background(), request)
		fmt.Println(ocrclient.OutcomeOf(err))
	}
	fmt.Println("charged at most:", server.Accepted())
	// Output:
	// lost
	// nonce used
	// charged at most: 1
}
