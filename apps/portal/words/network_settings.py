"""Names of the settings of what is trained by gradient, and what each does."""

from typing import Any

from django.utils.translation import gettext_lazy as _

NETWORK_SETTINGS: dict[str, tuple[Any, Any]] = {
    "optimiser": (_("Optimiser"), _("How the network's weights are moved: Adam suits most shops.")),
    "learning_rate": (_("Learning rate"), _("Larger learns faster and may miss the best.")),
    "schedule": (_("Schedule of the learning rate"), _("How the learning rate changes while it trains.")),
    "warmup": (
        _("Warm-up (share of training)"),
        _("The learning rate rises from 0 over this share of all steps."),
    ),
    "clip_norm": (
        _("Longest step (gradient norm)"),
        _("Keeps one odd example from throwing the network off."),
    ),
    "l1": (_("L1 penalty"), _("More drives weights that hardly matter to 0.")),
    "l2": (_("L2 penalty"), _("More keeps weights small and follows single shoppers less.")),
    "batch_size": (_("Examples per step"), _("More are faster on large data and smoother.")),
    "epochs": (_("Rounds at most"), _("Training stops earlier when it no longer gains.")),
    "patience": (_("Rounds without gain before it stops"), _("Fewer save time; empty goes on to the end.")),
    "precision": (_("Number format"), _("Half the width is faster on new hardware and a little less exact.")),
    "width": (_("Width of the network"), _("More tells more apart, takes longer and needs more data.")),
    "max_length": (
        _("Events read of a history"),
        _("The latest so many; more remembers longer and takes longer."),
    ),
    "dropout": (
        _("Dropout"),
        _(
            "The share of the network switched off at random while it "
            "learns; more keeps it from learning by heart."
        ),
    ),
    "loss": (_("Loss"), _("What training is taught to get right.")),
    "negatives": (
        _("Products compared with"),
        _("So many products not chosen are set against each chosen one."),
    ),
    "calibration": (
        _("Calibration of negatives"),
        _("Makes up for comparing with a few products instead of all; 0 does not."),
    ),
    "repeats": (
        _("Repeats within a history"),
        _("Whether a product that comes several times is read every time."),
    ),
    "horizon": (
        _("Next products that count as right"),
        _("1 teaches the very next; more teaches what comes soon."),
    ),
    "shuffle_ties": (
        _("Shuffle what happened at one moment"),
        _("Lines of one order have no order of their own."),
    ),
    "strength": (_("Weigh by kind of event"), _("A purchase teaches more than a look.")),
    "warm_epochs": (
        _("Rounds when going on from an earlier model"),
        _("Enough to learn what is new without forgetting."),
    ),
    "blocks": (_("Layers of attention"), _("More see longer connections and need more data.")),
    "heads": (_("Heads of attention"), _("So many things are looked at side by side.")),
    "widening": (_("Widening"), _("How many times wider the inner layers are.")),
    "activation": (_("Activation"), _("How a layer bends what passes through it.")),
    "cell": (_("Kind of cell"), _("GRU is smaller and faster; LSTM remembers a little longer.")),
    "layers": (_("Layers"), _("More bend more and need more data.")),
    "crop": (
        _("Share of histories cropped"),
        _("Shows the network parts of histories, so that it learns them less by heart."),
    ),
    "reorder": (
        _("Share of histories reordered"),
        _("Swaps events, so that the order is taken less literally."),
    ),
    "mask": (_("Share of histories masked"), _("Hides events, so that the rest has to do.")),
    "time_buckets": (
        _("Steps of time told apart"),
        _("How finely pauses between events are told apart; 0 ignores them."),
    ),
    "popularity_exponent": (
        _("Draw best sellers for comparison"),
        _("0 draws all products alike; 1 by how often they are bought."),
    ),
    "floor": (
        _("Least weight of old choices"),
        _("However old, a choice counts at least this share of the latest."),
    ),
    "fold_in_steps": (_("Steps to learn a new shopper"), _("More fit a new shopper better and take longer.")),
    "fold_in_rate": (
        _("Learning rate for a new shopper"),
        _("Larger learns a new shopper in fewer steps, and less exactly."),
    ),
    "queries": (_("Listen to searches"), _("Whether what a shopper searched for lately moves the list.")),
    "query_memory": (_("Searches listened to"), _("The last so many; older ones are forgotten.")),
    "query_decay": (
        _("What is left of a search"),
        _("Each product opened after a search leaves this share of its say."),
    ),
    "query_hours": (_("Hours a search counts"), _("What was searched for longer ago has no say.")),
    "query_buckets": (
        _("Words of searches told apart"),
        _("More keep rare words from being mixed up and take more memory."),
    ),
    "query_weight": (
        _("Weight of searches"),
        _("How much a search says beside all that the products opened say; 0 for nothing."),
    ),
    "query_prior": (
        _("Trust in the words of products"),
        _("So many searches must lead elsewhere before what people do outweighs what products are called."),
    ),
}
