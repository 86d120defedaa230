package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
)

// graphBlock blocks and unblocks people, as the Block Users API does. The phones of the
// sandbox go on writing: the router is who does not answer.
func (s *Server) graphBlock(w http.ResponseWriter, r *http.Request) {
	if !s.admitted(w, r) || !s.ours(w, r) {
		return
	}
	var req struct {
		Users []struct{ User string } `json:"block_users"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSend))
	if err != nil || json.Unmarshal(body, &req) != nil || len(req.Users) == 0 {
		s.refuse(w, errParam("The parameter block_users is required."))
		return
	}
	done := "added_users"
	if r.Method == http.MethodDelete {
		done = "removed_users"
	}
	users := make([]map[string]string, len(req.Users))
	for i, u := range req.Users {
		users[i] = map[string]string{"input": u.User, "wa_id": u.User}
	}
	writeJSON(w, http.StatusOK, map[string]any{"messaging_product": "whatsapp", "block_users": map[string]any{done: users}})
}

// graphTemplates lists a few templates of any account, one of each category.
func (s *Server) graphTemplates(w http.ResponseWriter, r *http.Request) {
	if !s.admitted(w, r) {
		return
	}
	list := []map[string]string{}
	for _, t := range [...][2]string{{"recordatorio", "UTILITY"}, {"promo", "MARKETING"}, {"codigo", "AUTHENTICATION"}} {
		list = append(list, map[string]string{"name": t[0], "language": "es_AR", "category": t[1], "status": "APPROVED"})
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": list})
}
