package console

import (
	"net/http"
	"time"

	"fc-idcard-ocr/internal/result"
)

// Correction is what a person saw on the picture.
type Correction struct {
	ID string `json:"id"`
	// CompletedAt is that of the document that the person had before them.
	CompletedAt time.Time   `json:"completedAt"`
	Card        result.Card `json:"card"`
}

// postReview stores a review beside the image. The document stays as it is.
func (s *Server) postReview(w http.ResponseWriter, r *http.Request) {
	if s.config.Reviewer == "" {
		refuse(w, http.StatusForbidden, "NotAllowed", "this console stores no reviews")
		return
	}
	var correction Correction
	if !decode(w, r, &correction) {
		return
	}
	found, ok := s.index.row(correction.ID)
	if !ok {
		refuse(w, http.StatusNotFound, "ImageNotFound", "there is no such image any more")
		return
	}
	document, err := s.document(r.Context(), found.entry.Key)
	switch {
	case err != nil:
		s.fail(w, r, err)
		return
	case document == nil || !document.Final():
		refuse(w, http.StatusConflict, "Changed", "there is no final document to be reviewed")
		return
	case !document.CompletedAt.Equal(correction.CompletedAt):
		refuse(w, http.StatusConflict, "Changed", "the document was made anew meanwhile; look at it again")
		return
	case correction.Card.IDNumber == "":
		refuse(w, http.StatusBadRequest, "BadRequest", "a card has an ID number; skip a picture that shows none")
		return
	}
	review := result.NewReview(document, correction.Card, s.config.Reviewer, s.config.Now())
	if err := s.config.Bucket.Put(r.Context(), found.entry.Key+result.ReviewSuffix, review.Encode(), result.ContentType); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.index.refresh(r.Context(), found.entry.Key); err != nil {
		s.config.Log.Debug("an image could not be listed", "reason", err)
	}
	s.hub.changed()
	respond(w, http.StatusCreated, map[string]any{"decision": review.Decision, "verdict": review.Validation.Verdict, "reasons": review.Validation.Reasons})
}
