// Package apitest words answers as a server does, for tests in which one lies.
//
// The package is for tests alone.
package apitest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"

	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// Refuse turns an answer on its way into the refusal of the call, for a reason of
// package api. ahead is the login that is shown with it; nil: none.
func Refuse(answer *http.Response, reason string, ahead *posthornv1.Seat) error {
	detail, err := proto.Marshal(&posthornv1.ErrorDetail{Reason: reason, Ahead: ahead})
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"code": "permission_denied", "message": "a lie",
		"details": []any{map[string]string{"type": "posthorn.v1.ErrorDetail", "value": base64.RawStdEncoding.EncodeToString(detail)}},
	})
	if err != nil {
		return err
	}
	answer.StatusCode, answer.Status, answer.ContentLength = http.StatusForbidden, "", int64(len(body))
	answer.Body, answer.Header = io.NopCloser(bytes.NewReader(body)), http.Header{"Content-Type": {"application/json"}}
	return nil
}
