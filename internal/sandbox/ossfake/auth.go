package ossfake

import (
	"net/http"
	"strings"
	"time"
)

// How far a request's date may be from the server's clock
// (https://help.aliyun.com/zh/oss/user-guide/0002-00000504).
const maxClockSkew = 15 * time.Minute

// signatureMode is where and how a request carries its signature.
type signatureMode int

const (
	anonymous signatureMode = iota
	v1Header
	v1Query
	v4Header
	v4Query
)

func modeOf(r *http.Request, q parameters) (signatureMode, error) {
	authorization := r.Header.Get("Authorization")
	inQuery := q.has("x-oss-signature-version") || q.has("x-oss-signature") || q.has("Signature") || q.has("OSSAccessKeyId")
	switch {
	case authorization != "" && inQuery:
		return anonymous, errInvalidArgument("", "", "Either the Signature query string parameter or the Authorization header should be specified, not both.")
	case strings.HasPrefix(authorization, v4Algorithm+" "):
		return v4Header, nil
	case strings.HasPrefix(authorization, "OSS "):
		return v1Header, nil
	case authorization != "":
		e := errInvalidArgument("Authorization", "", "Authorization header is invalid.")
		e.ec = "0002-00000061"
		return anonymous, e
	case q.has("x-oss-signature-version") || q.has("x-oss-signature"):
		if v := q.get("x-oss-signature-version"); v != v4Algorithm {
			return anonymous, errInvalidArgument("x-oss-signature-version", v, "The signature version must be %s.", v4Algorithm)
		}
		return v4Query, nil
	case inQuery:
		return v1Query, nil
	}
	return anonymous, nil
}

// authenticate finds out who signed the request. Without any signature the credentials are empty.
func (s *Server) authenticate(req *request) (Credentials, error) {
	mode, err := modeOf(req.Request, req.query)
	if err != nil {
		return Credentials{}, err
	}
	switch mode {
	case v1Header:
		return s.checkV1Header(req)
	case v1Query:
		return s.checkV1Query(req)
	case v4Header:
		return s.checkV4Header(req)
	case v4Query:
		return s.checkV4Query(req)
	default:
		return Credentials{}, nil // ACLs decide
	}
}

// credentials looks an AccessKey ID up and checks that the request came with the token that belongs to it.
func (s *Server) credentials(accessKeyID, token string, now time.Time) (Credentials, error) {
	c, ok := s.cfg.Keys.Lookup(accessKeyID)
	if !ok || c.SecurityToken != "" && token == "" {
		// An STS key is unknown to the records of long-term keys, in which it is looked up if no token is sent.
		return Credentials{}, errorf(http.StatusForbidden, "InvalidAccessKeyId", "0002-00000902",
			"The OSS Access Key Id you provided does not exist in our records.").with("OSSAccessKeyId", accessKeyID)
	}
	if c.SecurityToken == "" && token != "" {
		// https://help.aliyun.com/zh/oss/support/0002-00000002: a long-term key sent with a token.
		return Credentials{}, errorf(http.StatusForbidden, "InvalidAccessKeyId", "0002-00000002",
			"The OSS Access Key Id you provided does not exist in our records.").with("OSSAccessKeyId", accessKeyID)
	}
	if !equalSecret(c.SecurityToken, token) {
		return Credentials{}, errorf(http.StatusForbidden, "InvalidSecurityToken", "0002-00000008",
			"The security token you provided is invalid.")
	}
	if !c.Expires.IsZero() && !now.Before(c.Expires) {
		return Credentials{}, errorf(http.StatusForbidden, "SecurityTokenExpired", "0002-00000007",
			"The security token you provided has expired.")
	}
	return c, nil
}

func checkSkew(now, signed time.Time) error {
	if d := now.Sub(signed); d > maxClockSkew || d < -maxClockSkew {
		return errorf(http.StatusForbidden, "RequestTimeTooSkewed", "0002-00000504",
			"The difference between the request time and the current time is too large.").
			with("MaxAllowedSkewMilliseconds", "900000").
			with("RequestTime", isoMillis(signed)).
			with("ServerTime", isoMillis(now))
	}
	return nil
}

func errExpired(now, expires time.Time) error {
	return errorf(http.StatusForbidden, "AccessDenied", "0002-00000069", "Request has expired.").
		with("Expires", isoMillis(expires)).
		with("ServerTime", isoMillis(now))
}

func isoMillis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func errSignature(ec, accessKeyID, provided, stringToSign, canonicalRequest string) error {
	e := errorf(http.StatusForbidden, "SignatureDoesNotMatch", ec,
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.").
		with("OSSAccessKeyId", accessKeyID).
		with("SignatureProvided", provided).
		with("StringToSign", stringToSign).
		with("StringToSignBytes", hexBytes(stringToSign))
	if canonicalRequest != "" {
		e = e.with("CanonicalRequest", canonicalRequest)
	}
	return e
}

// hexBytes writes a string as OSS shows it in errors: "50 55 54 0A ".
func hexBytes(s string) string {
	const upperHex = "0123456789ABCDEF"
	b := make([]byte, 0, 3*len(s))
	for i := range len(s) {
		b = append(b, upperHex[s[i]>>4], upperHex[s[i]&15], ' ')
	}
	return string(b)
}
