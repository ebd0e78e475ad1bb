package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	crdclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	sigsyaml "sigs.k8s.io/yaml"
)

// establishLimit bounds the wait until the API server serves a new resource. It takes a fraction of a second.
const establishLimit = 30 * time.Second

// InstallCRDs creates every CustomResourceDefinition of the YAML files in fsys (os.DirFS or an embed.FS) and waits
// until the API server serves them. One that exists is replaced. A file with anything else in it is an error.
func InstallCRDs(ctx context.Context, config *rest.Config, fsys fs.FS) error {
	crds, err := readCRDs(fsys)
	if err != nil {
		return fmt.Errorf("read the CustomResourceDefinitions: %w", err)
	}
	clients, err := clientset.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for CustomResourceDefinitions: %w", err)
	}
	client := clients.ApiextensionsV1().CustomResourceDefinitions()
	for _, crd := range crds {
		if err := applyCRD(ctx, client, crd); err != nil {
			return fmt.Errorf("install the CustomResourceDefinition %s: %w", crd.Name, err)
		}
	}
	for _, crd := range crds {
		if err := awaitEstablished(ctx, client, crd.Name); err != nil {
			return fmt.Errorf("wait until %s is served: %w", crd.Name, err)
		}
	}
	return nil
}

func readCRDs(fsys fs.FS) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	var crds []*apiextensionsv1.CustomResourceDefinition
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || (path.Ext(name) != ".yaml" && path.Ext(name) != ".yml") {
			return err
		}
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		found, err := decodeCRDs(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		crds = append(crds, found...)
		return nil
	})
	if err == nil && len(crds) == 0 {
		err = errors.New("there are none in *.yaml and *.yml; check the folder")
	}
	return crds, err
}

func decodeCRDs(raw []byte) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	var crds []*apiextensionsv1.CustomResourceDefinition
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return crds, nil
		}
		if err != nil {
			return nil, err
		}
		var content any
		if err := sigsyaml.Unmarshal(document, &content); err == nil && content == nil {
			continue // Comments only.
		}
		crd := new(apiextensionsv1.CustomResourceDefinition)
		if err := sigsyaml.UnmarshalStrict(document, crd); err != nil {
			return nil, err
		}
		want := apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")
		if got := crd.GroupVersionKind(); got != want {
			return nil, fmt.Errorf("it holds a %s, not a %s", got, want)
		}
		crds = append(crds, crd)
	}
}

func applyCRD(
	ctx context.Context, client crdclient.CustomResourceDefinitionInterface, crd *apiextensionsv1.CustomResourceDefinition,
) error {
	_, err := client.Create(ctx, crd, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	old, err := client.Get(ctx, crd.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	crd = crd.DeepCopy()
	crd.ResourceVersion = old.ResourceVersion
	_, err = client.Update(ctx, crd, metav1.UpdateOptions{})
	return err
}

// awaitEstablished fails at once where the names belong to another definition: that does not change by itself.
func awaitEstablished(ctx context.Context, client crdclient.CustomResourceDefinitionInterface, name string) error {
	return wait.PollUntilContextTimeout(ctx, probeInterval, establishLimit, true, func(ctx context.Context) (bool, error) {
		crd, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, condition := range crd.Status.Conditions {
			switch {
			case condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue:
				return true, nil
			case condition.Type == apiextensionsv1.NamesAccepted && condition.Status == apiextensionsv1.ConditionFalse:
				return false, fmt.Errorf("its names are not accepted: %s", condition.Message)
			}
		}
		return false, nil
	})
}
