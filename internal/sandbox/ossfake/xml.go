package ossfake

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// readXML reads the XML body of a request and checks it against Content-MD5.
func readXML(w http.ResponseWriter, req *request, into any) error {
	hasBody, err := readOptionalXML(w, req, into)
	if err == nil && !hasBody {
		return errMalformedXML()
	}
	return err
}

// readOptionalXML is readXML for a request that may come without a body.
func readOptionalXML(w http.ResponseWriter, req *request, into any) (hasBody bool, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxXMLSize))
	if err != nil {
		return false, &bodyError{err}
	}
	if sum := req.Header.Get("Content-MD5"); sum != "" && sum != contentMD5(body) {
		return true, errorf(http.StatusBadRequest, "InvalidDigest", "", "The Content-MD5 you specified did not match what we received.")
	}
	if len(body) == 0 {
		return false, nil
	}
	hidden, show := hideControls(body)
	if err := xml.Unmarshal(hidden, into); err != nil {
		return true, errMalformedXML()
	}
	if keys, ok := into.(interface{ mapKeys(func(string) string) }); ok {
		keys.mapKeys(show)
	}
	return true, nil
}

// control matches the references and characters that XML 1.0 forbids and keys may hold all the same.
var control = regexp.MustCompile(`&#(x[0-9a-fA-F]+|[0-9]+);|[\x00-\x08\x0b\x0c\x0e-\x1f]`)

// hideControls replaces control characters by marks that XML may hold; show puts them back into a decoded text.
func hideControls(body []byte) (hidden []byte, show func(string) string) {
	mark := "\ue000"
	for bytes.Contains(body, []byte(mark)) {
		mark += "\ue000"
	}
	hidden = control.ReplaceAllFunc(body, func(found []byte) []byte {
		code := int64(found[0])
		if found[0] == '&' {
			digits, base := string(found[2:len(found)-1]), 10
			if digits[0] == 'x' {
				digits, base = digits[1:], 16
			}
			var err error
			if code, err = strconv.ParseInt(digits, base, 32); err != nil || code >= 0x20 {
				return found
			}
		}
		return fmt.Appendf(nil, "%s%02x", mark, code)
	})
	marked := regexp.MustCompile(mark + "([01][0-9a-f])")
	return hidden, func(text string) string {
		return marked.ReplaceAllStringFunc(text, func(found string) string {
			code, _ := strconv.ParseUint(found[len(mark):], 16, 8) // the pattern lets nothing else in
			return string(rune(code))
		})
	}
}

// keyText is an object key in an answer. Characters that XML 1.0 forbids are written as references all the same, as the service
// does unless it is asked for encoding-type=url.
type keyText string

// MarshalXML implements xml.Marshaler.
func (k keyText) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	var b strings.Builder
	for _, r := range string(k) {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		if err := xml.EscapeText(&b, []byte(string(r))); err != nil {
			return err
		}
	}
	return e.EncodeElement(struct {
		Text string `xml:",innerxml"`
	}{b.String()}, start)
}

func writeXML(w http.ResponseWriter, doc any) error {
	body, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	body = append([]byte(xml.Header), body...)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	// The answer is under way; a client that went away is no fault of the server.
	_, _ = w.Write(body)
	return nil
}
