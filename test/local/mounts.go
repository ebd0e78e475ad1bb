package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// serviceAccountPath is where a container finds the token of its ServiceAccount.
const serviceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// mounts writes the volumes of one pod into folders below dir, as the kubelet does, and writes them again where they
// have changed.
type mounts struct {
	kube kubernetes.Interface
	pod  *corev1.Pod
	dir  string
}

// sync writes what the volumes hold now.
func (m mounts) sync(ctx context.Context) error {
	for _, mount := range m.pod.Spec.Containers[0].VolumeMounts {
		i := slices.IndexFunc(m.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			return fmt.Errorf("pod %s mounts %s, which is no volume of it", m.pod.Name, mount.Name)
		}
		files, err := m.content(ctx, m.pod.Spec.Volumes[i].VolumeSource)
		if err != nil {
			return fmt.Errorf("volume %s of pod %s: %w", mount.Name, m.pod.Name, err)
		}
		if err := write(m.folder(mount.MountPath), files); err != nil {
			return err
		}
	}
	return nil
}

// folder is where a mounted path is.
func (m mounts) folder(path string) string { return filepath.Join(m.dir, filepath.FromSlash(path)) }

// localised are the container's arguments, with the paths that are mounted as they are here.
func (m mounts) localised(args []string) []string {
	args = slices.Clone(args)
	for i := range args {
		flag, value, _ := strings.Cut(args[i], "=")
		for _, mount := range m.pod.Spec.Containers[0].VolumeMounts {
			if value == mount.MountPath || strings.HasPrefix(value, mount.MountPath+"/") {
				args[i] = flag + "=" + m.folder(value)
			}
		}
	}
	return args
}

func (m mounts) content(ctx context.Context, volume corev1.VolumeSource) (map[string][]byte, error) {
	switch {
	case volume.ConfigMap != nil:
		return m.configMap(ctx, volume.ConfigMap.Name, volume.ConfigMap.Items)
	case volume.Secret != nil:
		optional := volume.Secret.Optional != nil && *volume.Secret.Optional
		return m.secret(ctx, volume.Secret.SecretName, volume.Secret.Items, optional)
	case volume.Projected != nil:
		return m.projected(ctx, volume.Projected.Sources)
	}
	return nil, errors.New("its kind is not known here")
}

func (m mounts) configMap(ctx context.Context, name string, items []corev1.KeyToPath) (map[string][]byte, error) {
	found, err := m.kube.CoreV1().ConfigMaps(m.pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for key, text := range found.Data {
		data[key] = []byte(text)
	}
	return chosen(data, items)
}

func (m mounts) secret(ctx context.Context, name string, items []corev1.KeyToPath, optional bool) (map[string][]byte, error) {
	found, err := m.kube.CoreV1().Secrets(m.pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && optional {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return chosen(found.Data, items)
}

func chosen(data map[string][]byte, items []corev1.KeyToPath) (map[string][]byte, error) {
	if len(items) == 0 {
		return data, nil
	}
	files := map[string][]byte{}
	for _, item := range items {
		content, there := data[item.Key]
		if !there {
			return nil, fmt.Errorf("there is no key %s", item.Key)
		}
		files[item.Path] = content
	}
	return files, nil
}

func (m mounts) projected(ctx context.Context, sources []corev1.VolumeProjection) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, source := range sources {
		switch {
		case source.ServiceAccountToken != nil:
			token, err := m.token(ctx, source.ServiceAccountToken)
			if err != nil {
				return nil, err
			}
			files[source.ServiceAccountToken.Path] = token
		case source.ConfigMap != nil:
			found, err := m.configMap(ctx, source.ConfigMap.Name, source.ConfigMap.Items)
			if err != nil {
				return nil, err
			}
			maps.Copy(files, found)
		case source.DownwardAPI != nil:
			for _, item := range source.DownwardAPI.Items {
				if item.FieldRef == nil || item.FieldRef.FieldPath != "metadata.namespace" {
					return nil, fmt.Errorf("the field of %s is not known here", item.Path)
				}
				files[item.Path] = []byte(m.pod.Namespace)
			}
		}
	}
	return files, nil
}

// token asks the API server for a token of the pod's ServiceAccount that ends with the pod. One that is there is kept:
// it lives for an hour, and a test does not.
func (m mounts) token(ctx context.Context, source *corev1.ServiceAccountTokenProjection) ([]byte, error) {
	kept, err := os.ReadFile(filepath.Join(m.folder(serviceAccountPath), source.Path))
	if err == nil {
		return kept, nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: m.pod.Name, UID: m.pod.UID,
		},
	}}
	answer, err := m.kube.CoreV1().ServiceAccounts(m.pod.Namespace).
		CreateToken(ctx, m.pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	return []byte(answer.Status.Token), nil
}

// kubeconfig leads to the API server with what is mounted, as the configuration inside a cluster does.
func (m mounts) kubeconfig(server *rest.Config) (string, error) {
	const name = "in-cluster"
	account := m.folder(serviceAccountPath)
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server.Host, CertificateAuthority: filepath.Join(account, "ca.crt")}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {TokenFile: filepath.Join(account, "token")}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}
	path := filepath.Join(m.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(config, path); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of pod %s: %w", m.pod.Name, err)
	}
	return path, nil
}

// write replaces files whose content is another, each at once, and removes the others.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("mounting a volume: %w", err)
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("mounting a volume: %w", err)
	}
	for _, entry := range old {
		if _, kept := files[entry.Name()]; !kept && !entry.IsDir() {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("mounting a volume: %w", err)
			}
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, content) {
			continue
		}
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			return fmt.Errorf("mounting a volume: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return fmt.Errorf("mounting a volume: %w", err)
		}
	}
	return nil
}
