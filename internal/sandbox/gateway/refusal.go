package gateway

import (
	"net/http"
	"strconv"
	"strings"
)

// Refusal is an answer of the gateway itself: the text of X-Ca-Error-Message, the status that classic instances send
// with it, and the six-character code of the newer instances, whose digits are their status.
type Refusal struct {
	Message string
	Status  int
	Code    string
}

// The gateway's refusals: texts and classic statuses from its published error table
// (help.aliyun.com, "API网关 错误代码表"), codes as far as they are published.
var (
	MissingCredentials   = Refusal{"Invalid AppKey", http.StatusBadRequest, "A400MA"}
	InvalidAppKey        = Refusal{"Invalid AppKey", http.StatusBadRequest, "A400IK"}
	InvalidAppCode       = Refusal{"Invalid AppCode `not exists`", http.StatusBadRequest, "A400AC"}
	InvalidSignature     = Refusal{"Invalid Signature", http.StatusBadRequest, "A403IS"}
	EmptySignature       = Refusal{"Empty Signature", http.StatusNotFound, "I400SG"}
	TimestampExpired     = Refusal{"Timestamp Expired", http.StatusBadRequest, "S403TE"}
	InvalidTimestamp     = Refusal{"Invalid Timestamp", http.StatusBadRequest, "I400PA"}
	NonceUsed            = Refusal{"Nonce Used", http.StatusBadRequest, "S403NU"}
	InvalidContentMD5    = Refusal{"Invalid Content-MD5", http.StatusBadRequest, "I400I5"}
	InvalidURL           = Refusal{"Invalid Url", http.StatusBadRequest, "I404NF"}
	InvalidMethod        = Refusal{"Invalid HttpMethod", http.StatusBadRequest, "I405UM"}
	InvalidBody          = Refusal{"Invalid Request Body", http.StatusBadRequest, "I400BD"}
	UnsupportedMultipart = Refusal{"Unsupported Multipart", http.StatusBadRequest, "I400CT"}
	BodyTooLarge         = Refusal{"Request Body Too Large", http.StatusRequestEntityTooLarge, "I413RL"}
	Unauthorized         = Refusal{"Unauthorized", http.StatusForbidden, "I403AA"}

	ThrottledByUSER   = Refusal{"Throttled by USER Flow Control", http.StatusForbidden, "T429SR"}
	ThrottledByAPP    = Refusal{"Throttled by APP Flow Control", http.StatusForbidden, "T429PR"}
	ThrottledByAPI    = Refusal{"Throttled by API Flow Control", http.StatusForbidden, "T429PA"}
	ThrottledByGROUP  = Refusal{"Throttled by GROUP Flow Control", http.StatusForbidden, "T429GR"}
	ThrottledByDOMAIN = Refusal{"Throttled by DOMAIN Flow Control", http.StatusForbidden, "T429ID"}

	QuotaExhausted       = Refusal{"Quota Exhausted", http.StatusForbidden, "B403MQ"}
	MarketQuotaExhausted = Refusal{"Api Market Subscription quota exhausted", http.StatusForbidden, "B403MQ"}
	QuotaExpired         = Refusal{"Quota Expired", http.StatusForbidden, "B403ME"}
	AuthorizationExpired = Refusal{"Expiry of Authorization", http.StatusForbidden, "A403EP"}
	UserArrears          = Refusal{"User Arrears", http.StatusForbidden, "B403OD"}

	InternalError      = Refusal{"Internal Error", http.StatusInternalServerError, "X500ER"}
	BackendFailed      = Refusal{"Failed To Invoke Backend Service", http.StatusInternalServerError, "D504CO"}
	ServiceUnavailable = Refusal{"Service Unavailable", http.StatusServiceUnavailable, "X503BZ"}
	BackendTimeout     = Refusal{"Async Service", http.StatusGatewayTimeout, "D504RE"}
)

// Refusals lists all of them, for tests that go through the whole table and for callers that look one up by its text.
func Refusals() []Refusal {
	return []Refusal{
		MissingCredentials, InvalidAppKey, InvalidAppCode, InvalidSignature, EmptySignature, TimestampExpired,
		InvalidTimestamp, NonceUsed, InvalidContentMD5, InvalidURL, InvalidMethod, InvalidBody, UnsupportedMultipart,
		BodyTooLarge, Unauthorized, ThrottledByUSER, ThrottledByAPP, ThrottledByAPI, ThrottledByGROUP,
		ThrottledByDOMAIN, QuotaExhausted, MarketQuotaExhausted, QuotaExpired, AuthorizationExpired, UserArrears,
		InternalError, BackendFailed, ServiceUnavailable, BackendTimeout,
	}
}

// maxErrorMessage is where X-Ca-Error-Message is cut, in bytes: the gateway is an nginx, whose header buffer holds 4 KB,
// so that a string to sign with a picture in it cannot arrive whole.
const maxErrorMessage = 4000

// invalidSignature shows the gateway's string to sign, with # for each newline.
func invalidSignature(toSign string) *Refusal {
	refusal := InvalidSignature
	refusal.Message += ", Server StringToSign:`" + strings.ReplaceAll(toSign, "\n", "#") + "`"
	if len(refusal.Message) > maxErrorMessage {
		refusal.Message = refusal.Message[:maxErrorMessage]
	}
	return &refusal
}

func (r Refusal) write(w http.ResponseWriter, withCode bool) {
	status := r.Status
	w.Header().Set("X-Ca-Error-Message", r.Message)
	if withCode && r.Code != "" {
		w.Header().Set("X-Ca-Error-Code", r.Code)
		if inCode, err := strconv.Atoi(r.Code[1:4]); err == nil {
			status = inCode
		}
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}
