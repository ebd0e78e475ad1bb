package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/certs/secretca"
)

// shownFingerprint is how much of a fingerprint the table shows: enough to tell any two CAs apart.
const shownFingerprint = 16

func writeCerts(out io.Writer, r certsReport, format string) error {
	switch format {
	case outputJSON:
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	case outputYAML:
		data, err := yaml.Marshal(r)
		if err != nil {
			return err
		}
		_, err = out.Write(data)
		return err
	}
	return writeCertsTable(out, r)
}

func writeCertsTable(out io.Writer, r certsReport) error {
	if r.InjectedFrom != "" {
		namespace, name, _ := strings.Cut(r.InjectedFrom, "/")
		fmt.Fprintf(out, "cert-manager injects the CA of Certificate %s; the router keeps none. For its state,\n"+
			"kubectl -n %s describe certificate %s\n", visible(r.InjectedFrom), visible(namespace), visible(name))
	} else {
		fmt.Fprintf(out, "Secret %s: %s, rotation %s\nNext: %s\n", r.Secret, r.SecretState, r.Phase, visible(r.Step))
	}
	if err := writeCertificates(out, r); err != nil {
		return err
	}
	if err := writeWebhooks(out, r); err != nil {
		return err
	}
	if len(r.Problems) > 0 {
		fmt.Fprintln(out)
	}
	for _, problem := range r.Problems {
		fmt.Fprintln(out, "problem: "+visible(problem))
	}
	return nil
}

func writeCertificates(out io.Writer, r certsReport) error {
	type row struct {
		role        string
		certificate *secretca.Certificate
	}
	rows := []row{{"CA", r.Current}, {"next CA", r.Next}}
	for i := range r.Previous {
		rows = append(rows, row{"replaced CA", &r.Previous[i]})
	}
	rows = append(rows, row{"served", r.Serving})
	w := newTable(out)
	head := false
	for _, row := range rows {
		if row.certificate == nil {
			continue
		}
		if !head {
			fmt.Fprintln(w, "\nCERTIFICATE\tFINGERPRINT\tRENEWED FROM\tEXPIRES")
			head = true
		}
		c := row.certificate
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", row.role, c.Fingerprint[:shownFingerprint], stamp(c.RenewAt), stamp(c.NotAfter))
	}
	return w.Flush()
}

func writeWebhooks(out io.Writer, r certsReport) error {
	w := newTable(out)
	if len(r.Webhooks)+len(r.Missing) > 0 {
		fmt.Fprintln(w, "\nCONFIGURATION\tWEBHOOK\tCA BUNDLE")
	}
	for _, hook := range r.Webhooks {
		name, configuration, _ := strings.Cut(hook.Name, " of ")
		bundle := "in order"
		switch {
		case r.InjectedFrom != "":
			bundle = "injected"
		case r.Current == nil && r.Next == nil: // nothing to compare with
			bundle = "unknown"
		case !hook.InOrder:
			bundle = "another"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", cell(configuration), cell(name), bundle)
	}
	for _, missing := range r.Missing {
		fmt.Fprintf(w, "%s\t%s\tdoes not exist\n", cell(missing), none)
	}
	return w.Flush()
}
