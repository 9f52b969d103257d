package ossfake

import (
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
)

// readXML reads the XML body of a request and checks it against Content-MD5.
func readXML(w http.ResponseWriter, req *request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxXMLSize))
	if err != nil {
		return &bodyError{err}
	}
	if sum := req.Header.Get("Content-MD5"); sum != "" && sum != contentMD5(body) {
		return errorf(http.StatusBadRequest, "InvalidDigest", "", "The Content-MD5 you specified did not match what we received.")
	}
	if err := xml.Unmarshal(body, into); err != nil {
		return errMalformedXML()
	}
	return nil
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
