"""ByView and mappings: parameters that differ between views, matched by name."""

import pickle

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.model_selection import ParameterSampler

from skalign import ByView
from skalign.views._by_view import by_view


class Owner(BaseEstimator):
    def __init__(self, shrinkage=0.0):
        self.shrinkage = shrinkage


def test_values_are_reached_through_the_estimator():
    owner = Owner(ByView(image=0.1, text=0.01))
    params = owner.get_params()
    assert params["shrinkage__image"] == 0.1
    assert params["shrinkage__text"] == 0.01
    owner.set_params(shrinkage__image=0.5)
    assert by_view(owner.shrinkage, ["image", "text"], "shrinkage") == {"image": 0.5, "text": 0.01}


def test_clone_does_not_share_values():
    owner = Owner(ByView(image=0.1, text=0.01))
    copy = clone(owner)
    assert copy.shrinkage == owner.shrinkage
    copy.set_params(shrinkage__image=0.9)
    assert owner.shrinkage == ByView(image=0.1, text=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_what_a_search_samples_can_be_set(seed):
    (params,) = ParameterSampler({"shrinkage__image": [1, 2], "shrinkage__text": [3, 4]}, 1, random_state=seed)
    owner = clone(Owner(ByView(image=0, text=0))).set_params(**params)
    assert owner.shrinkage == ByView(image=params["shrinkage__image"], text=params["shrinkage__text"])


def test_values_that_have_parameters_are_reached_too():
    value = ByView(image=PCA(3), text=None)
    assert value.get_params()["image__n_components"] == 3
    assert value.get_params(deep=False) == {"image": value.get_params()["image"], "text": None}
    value.set_params(image__n_components=5)
    assert value.get_params()["image"].n_components == 5


def test_a_class_as_value_is_a_value():
    assert ByView(image=PCA).get_params() == {"image": PCA}


def test_a_misspelt_view_is_an_error():
    with pytest.raises(ValueError, match=r"no view 'imgae'; it has \['image'\]"):
        Owner(ByView(image=0.1)).set_params(shrinkage__imgae=0.5)


def test_one_value_goes_to_all_views():
    assert by_view(0.3, ["a", "b"], "shrinkage") == {"a": 0.3, "b": 0.3}
    assert by_view([1, 2], ["a", "b"], "alphas") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("kind", [dict, lambda **values: ByView(**values)])
def test_values_are_matched_by_name_in_the_order_of_the_views(kind):
    assert list(by_view(kind(b=2, a=1), ["a", "b"], "shrinkage").items()) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("kind", [dict, lambda **values: ByView(**values)])
def test_views_too_many_or_too_few_are_errors(kind):
    with pytest.raises(ValueError, match=r"shrinkage names \['c'\], which are no views; the views are \['a', 'b'\]"):
        by_view(kind(a=1, b=2, c=3), ["a", "b"], "shrinkage")
    with pytest.raises(ValueError, match=r"shrinkage has no value for the views \['b'\]"):
        by_view(kind(a=1), ["a", "b"], "shrinkage")


def test_repr_equality_and_pickle():
    value = ByView(image=0.5, text="auto")
    assert repr(value) == "ByView(image=0.5, text='auto')"
    assert value == ByView(text="auto", image=0.5)
    assert value != ByView(image=0.5)
    assert value != {"image": 0.5, "text": "auto"}
    assert pickle.loads(pickle.dumps(value)) == value


def test_a_parameter_of_a_value_that_has_none_is_an_error():
    with pytest.raises(ValueError, match="value of view 'text', 'auto', has no parameter 'gamma'"):
        ByView(image=0.5, text="auto").set_params(text__gamma=1)
