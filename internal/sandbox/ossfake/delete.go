package ossfake

import (
	"encoding/xml"
	"errors"
	"net/http"
)

func (s *Server) deleteObject(w http.ResponseWriter, req *request) error {
	m, err := s.store.remove(req.bucket, req.key)
	if err == nil {
		s.emit(req, "ObjectRemoved:DeleteObject", req.key, metadata{}, -m.Size)
	} else if !errors.Is(err, errNotFound) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []struct {
		Key string `xml:"Key"`
	} `xml:"Object"`
}

type deleteResult struct {
	XMLName      xml.Name  `xml:"DeleteResult"`
	EncodingType string    `xml:"EncodingType,omitempty"`
	Deleted      []deleted `xml:"Deleted"`
}

type deleted struct {
	Key string `xml:"Key"`
}

// deleteObjects serves POST ?delete: up to 1,000 keys at once.
func (s *Server) deleteObjects(w http.ResponseWriter, req *request) error {
	var in deleteRequest
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	if len(in.Objects) == 0 || len(in.Objects) > 1000 {
		return errMalformedXML()
	}
	for _, o := range in.Objects {
		if err := checkKey(o.Key); err != nil || o.Key == "" {
			return errMalformedXML()
		}
		if err := s.authorize(req, "oss:DeleteObject", req.bucket, o.Key); err != nil {
			return err
		}
	}
	out := deleteResult{EncodingType: req.query.get("encoding-type")}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	for _, o := range in.Objects {
		m, err := s.store.remove(req.bucket, o.Key)
		if err == nil {
			s.emit(req, "ObjectRemoved:DeleteObjects", o.Key, metadata{}, -m.Size)
		} else if !errors.Is(err, errNotFound) {
			return err
		}
		if !in.Quiet {
			out.Deleted = append(out.Deleted, deleted{encode(o.Key)})
		}
	}
	return writeXML(w, out)
}
