"""Las redes: construirlas, guardarlas, cargarlas y exportar la de las cartas al móvil."""

import io
import json
import os
import random
import time
from contextlib import redirect_stdout
from functools import lru_cache
from pathlib import Path

import h5py
import keras
import tensorflow as tf

import card_utils as cu

# Lo que da `card_training.fit_finder`
FINDER, APART = (cu.HERE / f"models/card_{name}.weights.h5" for name in ("finder", "apart"))
# Opciones de capa posteriores a Keras 3.11, que aquí valen lo mismo que si no estuvieran
NEW_KEYS = {"input_axes", "output_axes", "renorm", "renorm_clipping", "renorm_momentum"}
NEW_KEYS |= {"quantization_config"}


def build_model(class_count, weights="imagenet", bn_momentum=0.98, side=cu.IMAGE_SHAPE[0]):
    """MobileNetV3Small -> GlobalAveragePooling2D -> Dense(128, relu) -> Dense(clases, softmax).

    Args:
        class_count: número de clases.
        weights: "imagenet", la ruta de unos pesos sin cabeza, de un modelo entero hecho aquí o de
            uno de sus puntos de control, o None (al azar). Si ImageNet no se puede descargar, se
            parte de la red base del modelo publicado.
        bn_momentum: inercia de BatchNorm, 0..1. La de Keras, 0.999, deja las estadísticas de
            evaluación unos 1000 pasos atrás.
        side: lado de las imágenes en píxeles, o None si cambia al entrenar (siempre par).

    Returns:
        `keras.Model` de [b, side, side, 3] en 0..255 a probabilidades [b, class_count]; en su
        atributo `start`, de qué pesos parte de verdad, en palabras.

    Raises:
        ValueError: `weights` no es un fichero de pesos de MobileNetV3Small sin cabeza, ni un
            modelo entero con esas clases; o Keras pone los canales delante.
        OSError: no hay red ni modelo publicado del que partir.
    """

    if keras.config.image_data_format() != "channels_last":
        raise ValueError('Pon "image_data_format": "channels_last" en ~/.keras/keras.json.')

    def mobilenet(weights):
        return keras.applications.MobileNetV3Small(
            input_shape=(side, side, 3), include_top=False, weights=weights
        )

    start, whole = Path(weights).name if weights else "al azar", False
    try:
        if weights and weights != "imagenet":
            with h5py.File(weights) as file:
                whole = "model_weights" in file or "layers" in file
        base = mobilenet(None if whole else weights)
    except Exception as error:  # sin red, fichero que falta o pesos de otra red
        if weights != "imagenet":
            raise ValueError(f"No se pueden usar los pesos {weights}: {error}") from error
        if not cu.PUBLISHED_MODEL.is_file():
            raise OSError(
                f"Sin red para bajar ImageNet y sin {cu.PUBLISHED_MODEL}: recupera ese fichero, o "
                'pon WEIGHTS = None para empezar al azar o WEIGHTS = "ruta" a unos pesos tuyos.'
            ) from error
        start = f"red base de {cu.PUBLISHED_MODEL.name}, porque ImageNet no se pudo descargar"
        base = mobilenet(None)
        published = keras.models.load_model(cu.PUBLISHED_MODEL, compile=False)
        for layer in base.layers:
            if layer.weights:
                layer.set_weights(published.get_layer(layer.name).get_weights())

    base = reloadable(base)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = bn_momentum
            fuse(layer)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(128, activation="relu")(x)
    outputs = keras.layers.Dense(class_count, activation="softmax")(x)
    model = keras.Model(base.input, outputs, name="MobileNetV3_card_classifier")
    if whole:
        try:
            model.load_weights(weights)
        except ValueError as error:
            raise ValueError(
                f"{weights} no es un modelo de {class_count} clases: {error}"
            ) from error
    model.start = start
    return model


def build_finder(kinds=1):
    """La red que busca índices en una foto, de 90 mil parámetros y solo de convoluciones.

    Args:
        kinds: cuántas clases de marca busca: 1, los índices; 2, las letras y los palos separados.

    Returns:
        `keras.Model` de [b, alto, ancho, 3] en 0..255, con lados múltiplos de 8, a
        [b, alto / 4, ancho / 4, 5 * kinds]: lo que cada casilla de 4 px parece el medio de una
        marca, sin sigmoide, y, desde ella, dónde están sus dos extremos (la letra y el palo del
        índice, o lo alto y lo bajo de lo demás): (x, y, x, y) en veces 16 px.
    """

    def conv(x, width, strides=1, size=3):
        x = keras.layers.Conv2D(width, size, strides, "same", use_bias=False)(x)
        return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.98)(x))

    image = keras.layers.Input((None, None, 3))
    x = conv(keras.layers.Rescaling(1 / 127.5, -1)(image), 12, 2)
    fine = conv(conv(x, 24, 2), 24)
    x = conv(fine, 48, 2)
    for _ in range(3):
        x = keras.layers.Add()([x, conv(x, 48)])
    x = keras.layers.UpSampling2D()(conv(x, 24, size=1))
    x = conv(keras.layers.Add()([x, fine]), 32)
    rare, parts = keras.initializers.Constant(-4.0), []  # casi ninguna lo es (Lin et al., 2017)
    for _ in range(kinds):
        parts.append(keras.layers.Conv2D(1, 1, bias_initializer=rare)(x))
        parts.append(keras.layers.Conv2D(4, 1)(x))
    return keras.Model(image, keras.layers.Concatenate()(parts))


@lru_cache
def load_finder(apart):
    """Función de uint8 [b, alto, ancho, 3] a lo que da `build_finder`, con sus pesos.

    Args:
        apart: los de `APART`, que busca letras y palos separados, y no los de `FINDER`.

    Raises:
        FileNotFoundError: falta ese fichero.
    """
    path = APART if apart else FINDER
    if not path.is_file():
        raise FileNotFoundError(
            f"Falta {path}, que busca los índices: recupéralo, o entrena otro con "
            f'python -c "import card_training; card_training.fit_finder(apart={apart})".'
        )
    state = random.getstate()  # Keras saca de ahí sus semillas: quien entrena no ha de notarlo
    model = build_finder(1 + apart)
    random.setstate(state)
    model.load_weights(path)
    signature = [tf.TensorSpec((None, None, None, 3), tf.uint8)]
    return tf.function(lambda x: model(tf.cast(x, "float32")), input_signature=signature)


def reloadable(base):
    """La misma red, con `hard_sigmoid` como capa: así su `.h5` se recarga con Keras a secas.

    Keras 3 escribe `hard_sigmoid` como `ReLU(6.)(x + 3.0) * (1/6)`, y esos escalares sueltos
    guardan un `.h5` que `load_model` rechaza. Las salidas son iguales, salvo el redondeo.

    Args:
        base: `keras.Model` de la familia MobileNetV3.

    Returns:
        `keras.Model` equivalente con las mismas capas y pesos.
    """

    def call(operation, *args, **kwargs):
        if not isinstance(operation, keras.layers.Layer):  # suma o producto por un escalar
            return args[0]
        if isinstance(operation, keras.layers.ReLU) and operation.max_value == 6:
            return keras.layers.Activation("hard_sigmoid")(args[0])
        return operation(*args, **kwargs)

    return keras.models.clone_model(base, clone_function=lambda layer: layer, call_function=call)


def fuse(layer):
    """Al entrenar, esta `BatchNormalization` usa la operación fusionada de TensorFlow.

    Keras 3 la escribe con seis operaciones sueltas: fusionada, el paso de entrenamiento de
    MobileNetV3 baja a tres cuartos. La capa sigue siendo la de Keras, y así se guarda.

    Args:
        layer: `keras.layers.BatchNormalization` de 4 dimensiones; se cambia en su sitio.
    """
    plain = layer.call

    def call(inputs, training=None, mask=None):
        if not (training and layer.trainable):
            return plain(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, layer.gamma, layer.beta, epsilon=layer.epsilon, is_training=True
        )
        count = tf.size(inputs) / layer.gamma.shape[0]
        variance *= tf.cast(1 - 1 / count, variance.dtype)  # la fusionada la divide por n - 1
        replica = tf.distribute.get_replica_context()
        if replica and replica.num_replicas_in_sync > 1:  # Keras deja a cada GPU la suya
            mean, variance = replica.all_reduce(tf.distribute.ReduceOp.MEAN, [mean, variance])
        for moving, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(layer.momentum * moving + (1 - layer.momentum) * batch)
        return outputs

    layer.call = call


def save_model(model, metadata, path):
    """Guarda el modelo `.h5`, con sus metadatos dentro, y una copia de ellos en un `.json`.

    Un modelo anterior con ese nombre queda al lado, con su fecha en el nombre.

    Args:
        model: `keras.Model`.
        metadata: dict que admita JSON.
        path: destino, acabado en .h5; el JSON lleva el mismo nombre.

    Raises:
        OSError: no se pudo escribir (disco lleno, permisos). El modelo anterior sigue, salvo que lo
            que falte sea solo el `.json`, su copia.
    """
    path, text = Path(path), cu.as_json(metadata)
    draft, mobile = path.with_suffix(".new.h5"), sorted(path.parent.glob(f"{path.stem}_int8.*"))
    old = [file for file in (path, path.with_suffix(".json"), *mobile) if file.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        model.save(draft, include_optimizer=False)
        with h5py.File(draft, "r+") as file:
            config = json.loads(file.attrs["model_config"], object_hook=drop_new_keys)
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["metadata"] = text
        if old:
            date = time.strftime("%Y%m%d-%H%M%S", time.localtime(old[0].stat().st_mtime))
            former = {f: f.with_name(f"{path.stem}-{date}{f.name[len(path.stem) :]}") for f in old}
            for file in old:
                cu.write_atomic(former[file], file.read_bytes())
            print(f"El modelo anterior queda al lado: {former[old[0]].name}.")
    except (OSError, RuntimeError) as error:  # h5py usa los dos si el disco se llena
        draft.unlink(missing_ok=True)
        raise OSError(f"No se pudo guardar {path} ({error}). El anterior sigue intacto.") from error
    for file in mobile:  # eran del anterior
        file.unlink()
    os.replace(draft, path)
    cu.write_atomic(path.with_suffix(".json"), text.encode())


def read_metadata(path):
    """Los metadatos que lleva un `.h5` y, si el `.json` de al lado es su copia, sus medidas.

    Raises:
        FileNotFoundError: falta el `.h5`.
        ValueError: está roto, o no lo hizo este proyecto.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Falta {path}. Ejecuta Entrenamiento_DL.ipynb o recupéralo.")
    if path.suffix == ".keras":
        raise ValueError(f"{path} es .keras; aquí se espera .h5: usa card_model.save_model.")
    try:
        with h5py.File(path) as file:
            if "metadata" not in file.attrs:
                raise ValueError("sin metadatos: guárdalo con card_model.save_model")
            metadata = json.loads(file.attrs["metadata"])
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} está roto o no lo guardó Entrenamiento_DL.ipynb ({error})."
        ) from error
    try:
        copy = json.loads(path.with_suffix(".json").read_text("utf-8"))
        measures = copy.pop("measures", None) or {}
    except (OSError, ValueError, AttributeError, TypeError):  # falta, a medias o no es un dict
        return metadata
    return {**metadata, "measures": measures} if copy == metadata else metadata


def load_model(path=cu.PUBLISHED_MODEL):
    """Carga un modelo con `keras.models.load_model`, y sus metadatos.

    Args:
        path: fichero `.h5`.

    Returns:
        (model, metadata): `keras.Model` y dict.

    Raises:
        FileNotFoundError: falta el `.h5`.
        ValueError: está roto, no lo hizo este proyecto, o sus clases no son las de la red.
    """
    metadata = read_metadata(path)
    model = keras.models.load_model(path, compile=False)
    outputs, names = model.output_shape[-1], metadata.get("class_names", ())
    if outputs != len(names):
        raise ValueError(f"{path} da {outputs} salidas y nombra {len(names)} clases.")
    return model, metadata


def add_measures(path, **measures):
    """Añade medidas al JSON de un modelo, clave "measures", con su máquina y su fecha.

    Args:
        path: fichero `.h5` del modelo.
        **measures: nombre de lo medido = dict que admita JSON.
    """
    metadata = read_metadata(path)
    for name, values in measures.items():
        values = {**values, "environment": cu.environment(), "date": time.strftime("%Y-%m-%d")}
        metadata.setdefault("measures", {})[name] = values
    cu.write_atomic(Path(path).with_suffix(".json"), cu.as_json(metadata).encode())


def drop_new_keys(config):
    """El mismo dict sin las claves que Keras 3.11 y la 3.13 de Colab no saben abrir."""
    return {key: value for key, value in config.items() if key not in NEW_KEYS}


def export_tflite(model, metadata, path, quantize=False):
    """Exporta a LiteRT (TFLite), con un JSON al lado que nombra las clases y la entrada.

    `quantize` guarda en int8 por canal los pesos de las capas con 2500 o más y calcula en float:
    no hacen falta fotos de calibrar. Las primeras capas pesan poco y, en int8, cambian
    respuestas, como al pasar a int8 también las activaciones. Lo hace `litert-quantizer`; sin
    él, con aviso, el conversor de TensorFlow (rango dinámico).

    Args:
        model: clasificador de este proyecto.
        metadata: dict con "class_names".
        path: destino, acabado en .tflite; el JSON lleva el mismo nombre.
        quantize: pesos en int8 (menos de un tercio) en vez de float32.

    Returns:
        `Path` del fichero; entran float32 [1, 224, 224, 3] en 0..255 y salen probabilidades.

    Raises:
        ValueError: ese JSON es el de un modelo `.h5`, y no se pisa.
    """
    path = Path(path)
    if path.with_suffix(".h5").exists():
        raise ValueError(f"{path.stem}.json es de {path.stem}.h5: elige otro nombre que {path}.")
    converter, quantizer = tf.lite.TFLiteConverter.from_keras_model(model), None
    if quantize:
        try:
            from litert_quantizer import quantizer, recipe  # Colab no lo trae
        except ImportError:
            print("Falta litert-quantizer (pip install litert-quantizer): int8 algo menos fiel.")
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = {
        "class_names": metadata["class_names"],
        "input": {"shape": [1, *cu.IMAGE_SHAPE], "dtype": "float32", "range": [0, 255]},
        "preprocess": "RGB, estirada a 224x224 (bilineal), sin dividir: la red reescala dentro",
        "output": "probabilidades en el orden de class_names, sin calibrar",
    }
    with redirect_stdout(io.StringIO()):  # Keras cuenta ahí cada variable que exporta
        content = converter.convert()
        if quantizer:
            weights = recipe.weight_only_wi8_afp32()
            weights[0]["op_config"]["min_weight_elements"] = 2500
            content = quantizer.Quantizer(content, weights).quantize().quantized_model
    cu.write_atomic(path, content)
    cu.write_atomic(path.with_suffix(".json"), cu.as_json(labels).encode())
    return path
