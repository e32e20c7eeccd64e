"""The npm packages of artwork, the styles that come from them, and the size of a picture."""

# style -> (package, version, author, licence), in the order of the data set
SETS = {
    "noto": ("@iconify-json/noto", "1.2.9", "Google Inc", "Apache-2.0"),
    "twemoji": ("@iconify-json/twemoji", "1.2.5", "Twitter and jdecked", "CC-BY-4.0"),
    "emojione": ("@iconify-json/emojione", "1.2.3", "Emoji One (EmojiTwo)", "CC-BY-4.0"),
    "fxemoji": ("@iconify-json/fxemoji", "1.2.2", "Mozilla", "Apache-2.0"),
    "emojione_monotone": (
        "@iconify-json/emojione-monotone", "1.2.1", "Emoji One (EmojiTwo)", "CC-BY-4.0",
    ),
    "noto_v1": ("@iconify-json/noto-v1", "1.2.5", "Google Inc", "Apache-2.0"),
    "fluent": ("@iconify-json/fluent-emoji", "1.2.7", "Microsoft Corporation", "MIT"),
    "fluent_flat": ("@iconify-json/fluent-emoji-flat", "1.2.6", "Microsoft Corporation", "MIT"),
    "fluent_high_contrast": (
        "@iconify-json/fluent-emoji-high-contrast", "1.2.6", "Microsoft Corporation", "MIT",
    ),
    "fluent_3d": ("@lobehub/fluent-emoji-3d", "1.1.0", "Microsoft Corporation, LobeHub", "MIT"),
}
NAMES_PACKAGE = ("emojibase-data", "17.0.0")
POOL_PACKAGE = ("@iconify/json", "2.2.535")
SOURCES = ("noto", "twemoji", "emojione", "fxemoji", "emojione_monotone")
TARGETS = ("noto_v1", "fluent", "fluent_flat", "fluent_high_contrast", "fluent_3d")
SIZE = 64  # pixels
