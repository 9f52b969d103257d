package explorer

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"fc-idcard-ocr/ocrclient"
)

// gateway is a model of the API gateway and the provider behind it: a nonce is accepted once in 15 minutes, a call is charged
// when a picture of a card was accepted, and the provider fetches what is at the URL when it works.
type gateway struct {
	storage *storage
	nonces  map[string]time.Time // when each was accepted
	charges []*charge
}

// charge is a call that was accepted and paid.
type charge struct {
	version  version // that the caller had inspected
	by       *invocation
	at       time.Time
	sent     time.Time
	answered time.Time // when the answer reached the caller; in the far future if it did not
	useless  bool      // an answer that cannot be parsed
}

// memory is how long the gateway recognises a nonce, and how old the time stamp of a request may be.
const memory = 15 * time.Minute

func callError(outcome ocrclient.Outcome, code ocrclient.Code) error {
	return &ocrclient.Error{Outcome: outcome, Code: code}
}

// accept carries a call out.
func (g *gateway) accept(r ocrclient.Request, by *invocation, inspected version) (*ocrclient.Response, error) {
	if at, ok := g.nonces[r.Nonce]; ok && time.Since(at) < memory {
		return nil, callError(ocrclient.NonceUsed, ocrclient.AnswerLost)
	}
	g.note(r)
	picture, ok := r.Image, true
	if r.ImageURL != "" {
		key, versionID, _ := strings.Cut(r.ImageURL, "?")
		var o object
		o, ok = g.storage.find(key, versionID)
		picture = o.body
	}
	switch {
	case !ok:
		return response(`{"ret_code":-1,"flag":false,"msg":"错误的 imgData 或 imgUrl 参数！"}`), nil
	case strings.HasPrefix(string(picture), "blank"):
		return response(`{"ret_code":-1,"flag":false,"msg":"识别失败"}`), nil
	}
	g.charges = append(g.charges, &charge{version: inspected, by: by, at: time.Now(), answered: time.Now().AddDate(1, 0, 0)})
	name, _ := json.Marshal(string(picture)) // the card names the content that was read
	return response(fmt.Sprintf(`{"ret_code":0,"flag":true,"msg":"识别成功!","idNo":"11010519491231002X","name":%s}`, name)), nil
}

func (g *gateway) note(r ocrclient.Request) { g.nonces[r.Nonce] = time.Now() }

func response(body string) *ocrclient.Response {
	a, err := ocrclient.ParseResponse(200, fmt.Appendf(nil, `{"showapi_res_code":0,"showapi_res_id":"1","showapi_res_body":%s}`, body))
	if err != nil {
		panic(err) // the texts are above
	}
	return a
}
