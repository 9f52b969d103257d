package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"fc-idcard-ocr/internal/sandbox/ocrengine"
)

// The provider's messages. The first two are quoted from its card in the market; the third stands for a picture without
// an ID number, for which the card prints no text.
const (
	messageRecognized   = "识别成功!"
	messageBadParameter = "错误的 imgData 或 imgUrl 参数！"
	messageUnrecognized = "识别失败!"
)

// The two envelopes of the provider, with the fields in the order in which its card shows them.
type (
	successEnvelope struct {
		ResultID string      `json:"showapi_res_id"`
		Error    string      `json:"showapi_res_error"`
		FeeNum   int         `json:"showapi_fee_num"`
		Code     int         `json:"showapi_res_code"`
		Body     successBody `json:"showapi_res_body"`
	}
	successBody struct {
		Message  string `json:"msg"`
		Flag     bool   `json:"flag"`
		RetCode  int    `json:"ret_code"`
		IDNumber string `json:"idNo"`
		*details
	}
	// details are in the answer only if need_more_info was 1, as empty strings if they were not read.
	details struct {
		Name      string `json:"name"`
		Sex       string `json:"sex"`
		Ethnicity string `json:"nationality"`
		BirthDate string `json:"birthday"`
		Address   string `json:"addr"`
	}
	failureEnvelope struct {
		Error    string      `json:"showapi_res_error"`
		FeeNum   int         `json:"showapi_fee_num"`
		Code     int         `json:"showapi_res_code"`
		ResultID string      `json:"showapi_res_id"`
		Body     failureBody `json:"showapi_res_body"`
	}
	failureBody struct {
		RetCode int    `json:"ret_code"`
		Flag    bool   `json:"flag"`
		Message string `json:"msg"`
	}
)

// answer is what the provider says.
type answer struct {
	status   int
	header   http.Header
	body     []byte
	outcome  string
	charged  bool
	resultID string
}

func (a *answer) write(w http.ResponseWriter) { a.writePart(w, len(a.body)) }

// writePart sends status, headers and the first n bytes of the body, announcing all of it.
func (a *answer) writePart(w http.ResponseWriter, n int) {
	for name, values := range a.header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	w.Write(a.body[:n])                   //nolint:errcheck // the caller has left
	http.NewResponseController(w).Flush() //nolint:errcheck // likewise
}

// provide is the provider's side of an accepted call. A refusal means that the provider itself failed.
func (e *exchange) provide() (answer, *Refusal) {
	if e.fault.Phase == PhaseProvider {
		e.wait()
		if e.fault.Hook != nil {
			e.fault.Hook(e.call)
		}
		header := e.fault.Header
		if header == nil {
			header = jsonHeader()
		}
		return answer{status: e.fault.status(), header: header, body: e.fault.Body, outcome: OutcomeScripted, charged: e.fault.Charge}, nil
	}

	// The provider goes on when the caller hangs up, and charges: that is what makes a lost answer cost money.
	ctx := context.WithoutCancel(e.r.Context())
	picture, err := e.picture(ctx)
	if err != nil {
		e.server.config.Log.Info("provider cannot get the picture", "caRequestId", e.call.RequestID, "reason", err)
		return failure(messageBadParameter, OutcomeRejected), nil
	}
	digest := sha256.Sum256(picture)
	e.call.ImageSHA256, e.call.ImageSize = hex.EncodeToString(digest[:]), len(picture)

	card, err := e.server.config.Reader.Read(ctx, picture)
	switch {
	case errors.Is(err, ocrengine.ErrUnreadable):
		return failure(messageBadParameter, OutcomeRejected), nil
	case errors.Is(err, ocrengine.ErrClosed): // the sandbox ends, and nobody needs to be told
		return answer{}, &BackendFailed
	case err != nil:
		e.server.config.Log.Error("the OCR engine failed", "caRequestId", e.call.RequestID, "reason", err)
		return answer{}, &BackendFailed
	case card.IDNumber == "":
		return failure(messageUnrecognized, OutcomeUnrecognized), nil
	}
	return success(card, e.call.Details), nil
}

var errOneOfTwo = errors.New("exactly one of imgData and imgUrl has to be sent")

// picture returns the bytes that imgData holds or imgUrl leads to.
func (e *exchange) picture(ctx context.Context) ([]byte, error) {
	switch sourceOf(e.form) {
	case "data":
		picture, err := base64.StdEncoding.DecodeString(e.form.Get("imgData"))
		if err != nil {
			return nil, errors.New("imgData is not base64")
		}
		if int64(len(picture)) > e.server.config.MaxPicture {
			return nil, errTooLarge
		}
		return picture, nil
	case "url":
		return e.server.fetcher.fetch(ctx, e.form.Get("imgUrl"))
	}
	return nil, errOneOfTwo
}

// sourceOf returns how the image is sent; empty if in neither way or in both.
func sourceOf(form url.Values) string {
	data, address := form.Get("imgData") != "", form.Get("imgUrl") != ""
	switch {
	case data && !address:
		return "data"
	case address && !data:
		return "url"
	}
	return ""
}

// imagePath is the part of a picture's URL that may be kept: no host, and no query, which holds the signature.
func imagePath(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return parsed.EscapedPath()
}

func success(card ocrengine.Card, withDetails bool) answer {
	id := newResultID()
	body := successBody{Message: messageRecognized, Flag: true, IDNumber: card.IDNumber}
	if withDetails {
		body.details = &details{Name: card.Name, Sex: card.Sex, Ethnicity: card.Ethnicity, BirthDate: card.BirthDate, Address: card.Address}
	}
	return answer{
		status: http.StatusOK, header: jsonHeader(), outcome: OutcomeRecognized, charged: true, resultID: id,
		body: encode(successEnvelope{ResultID: id, FeeNum: 1, Body: body}),
	}
}

func failure(message, outcome string) answer {
	id := newResultID()
	return answer{
		status: http.StatusOK, header: jsonHeader(), outcome: outcome, resultID: id,
		body: encode(failureEnvelope{ResultID: id, Body: failureBody{RetCode: -1, Message: message}}),
	}
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json;charset=utf-8"}} }

// encode writes the envelope as the provider does: compact, and without escaping <, > and &.
func encode(envelope any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(envelope); err != nil {
		// Strings, numbers and booleans always encode.
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
