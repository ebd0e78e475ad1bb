package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// tables prints what kubectl get prints, from the tables that the API server itself renders.
type tables struct {
	client rest.Interface
	out    io.Writer
}

// get prints the objects under an absolute path of the API, such as /api/v1/pods, with labels as further columns.
func (t tables) get(ctx context.Context, path string, labels ...string) error {
	raw, err := t.client.Get().AbsPath(path).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("listing %s: %w", path, err)
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		return fmt.Errorf("listing %s: %w", path, err)
	}
	return t.print(&table, labels)
}

func (t tables) print(table *metav1.Table, labels []string) error {
	w := tabwriter.NewWriter(t.out, 0, 8, 3, ' ', 0)
	namespaced := false
	objects := make([]unstructured.Unstructured, len(table.Rows))
	for i, row := range table.Rows {
		if err := json.Unmarshal(row.Object.Raw, &objects[i].Object); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		namespaced = namespaced || objects[i].GetNamespace() != ""
	}
	var head []string
	if namespaced {
		head = append(head, "NAMESPACE")
	}
	for _, column := range table.ColumnDefinitions {
		if column.Priority == 0 && column.Name != "Age" {
			head = append(head, strings.ToUpper(column.Name))
		}
	}
	for _, label := range labels {
		head = append(head, strings.ToUpper(label[strings.LastIndex(label, "/")+1:]))
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for i, row := range table.Rows {
		var cells []string
		if namespaced {
			cells = append(cells, objects[i].GetNamespace())
		}
		for j, column := range table.ColumnDefinitions {
			if column.Priority == 0 && column.Name != "Age" {
				cells = append(cells, cell(row.Cells[j]))
			}
		}
		for _, label := range labels {
			cells = append(cells, objects[i].GetLabels()[label])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

func cell(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
