"""What Kubernetes would make of the manifests beside this file, as far as that can be had without it.

    pod.py check VERSION...            holds them against the schemas of these versions, and one against the other
    pod.py run MANIFEST VOLUME [INDEX] runs the container's command with the variables a pod would have, VOLUME in the
                                       place of its shared volume; further NAME=VALUE arguments change the ConfigMap
"""

import os
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).parent
SCALE = {"": 1, "m": 1 / 1000, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}


def documents(name):
    return list(yaml.safe_load_all((HERE / name).read_text()))


def one(kind, name):
    (found,) = [document for document in documents(name) if document["kind"] == kind]
    return found


def quantity(text):
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return float(number) * SCALE[unit]


def check(versions):
    import kubernetes_validate

    for version in versions:
        for name in ("zoo.yaml", "merge.yaml"):
            for document in documents(name):
                kubernetes_validate.validate(document, version, strict=True)
                print(f"{name}: {document['kind']} fits the schema of {version}")
    # A key that no version has must not pass, or the check checks nothing.
    wrong = one("Job", "zoo.yaml")
    wrong["spec"]["backoffLimitPerIndices"] = 3
    try:
        kubernetes_validate.validate(wrong, versions[0], strict=True)
    except kubernetes_validate.ValidationError:
        print("a key that is none is refused")
    else:
        sys.exit("the schemas let a wrong key pass")
    spec, settings = one("Job", "zoo.yaml")["spec"], one("ConfigMap", "zoo.yaml")["data"]
    if str(spec["completions"]) != settings["FOURBIT_SHARDS"]:
        sys.exit("completions and FOURBIT_SHARDS differ")
    # What the API server asks for beyond the schemas.
    if spec["completionMode"] != "Indexed" or spec["template"]["spec"]["restartPolicy"] != "Never":
        sys.exit("backoffLimitPerIndex and podFailurePolicy need an indexed job that restarts no containers")
    names = [container["name"] for container in spec["template"]["spec"]["containers"]]
    for rule in spec["podFailurePolicy"]["rules"]:
        if rule.get("onExitCodes", {}).get("containerName", names[0]) not in names:
            sys.exit("podFailurePolicy names a container that is none")
    if not all(isinstance(value, str) for value in settings.values()):
        sys.exit("values of a ConfigMap must be text")
    merge = one("Job", "merge.yaml")["spec"]["template"]["spec"]["containers"][0]
    if merge["image"] != spec["template"]["spec"]["containers"][0]["image"]:
        sys.exit("the images differ")
    print("the manifests agree with each other")


def run(manifest, volume, rest):
    pod = one("Job", manifest)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    settings = dict(one("ConfigMap", "zoo.yaml")["data"])
    settings.update(argument.split("=", 1) for argument in rest if "=" in argument)
    (mount,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "zoo"]
    for name, value in settings.items():
        variables[name] = volume + value[len(mount) :] if value.startswith(mount + "/") else value
    for variable in container.get("env", []):
        reference = variable["valueFrom"]["resourceFieldRef"]
        part, resource = reference["resource"].split(".")
        value = quantity(container["resources"][part][resource]) / quantity(reference.get("divisor", "1"))
        # The kubelet rounds up.
        variables[variable["name"]] = str(int(-(-value // 1)))
    for index in rest:
        if "=" not in index:
            variables["JOB_COMPLETION_INDEX"] = index
    command = container["command"] + container["args"]
    os.execvpe(command[0], command, variables)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check", *versions] if versions:
            check(versions)
        case ["run", manifest, volume, *rest]:
            run(manifest, volume, rest)
        case _:
            sys.exit(__doc__)
