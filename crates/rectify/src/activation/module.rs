//! What makes a function's type a module of Burn: one without parameters that learn.

/// `forward`, `backward` and Burn's `Module` for a function.
macro_rules! module {
    ($type:ident) => {
        impl $type {
            /// φ(x), element by element: any shape, and any float type that the backend has. In place where nobody else
            /// holds `x`.
            pub fn forward<const D: usize>(&self, x: burn::tensor::Tensor<D>) -> burn::tensor::Tensor<D> {
                Activation::from(*self).forward(x)
            }

            /// φ′ · grad for a backward pass that is written by hand, see [`Activation::backward`].
            #[track_caller]
            pub fn backward<const D: usize>(
                &self,
                kept: burn::tensor::Tensor<D>,
                grad: burn::tensor::Tensor<D>,
            ) -> burn::tensor::Tensor<D> {
                Activation::from(*self).backward(kept, grad)
            }
        }

        module::constant!($type);
    };
}

/// Burn's `Module` for a type that holds numbers only. By hand: `derive(Module)` writes several times as much.
macro_rules! constant {
    ($type:ident) => {
        impl burn::module::Module for $type {
            fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
                devices
            }
            fn fork(self, _device: &burn::tensor::Device) -> Self {
                self
            }
            fn to_device(self, _device: &burn::tensor::Device) -> Self {
                self
            }
            fn visit<V: burn::module::ModuleVisitor>(&self, _visitor: &mut V) {}
            fn map<M: burn::module::ModuleMapper>(self, _mapper: &mut M) -> Self {
                self
            }
            fn materialize(self) -> Self {
                self
            }
            fn valid(&self) -> Self {
                *self
            }
            fn train(self) -> Self {
                self
            }
        }

        impl burn::module::ModuleDisplayDefault for $type {
            fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                content.add_formatted(self).optional()
            }
        }

        impl burn::module::ModuleDisplay for $type {}

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self:?}")
            }
        }
    };
}
pub(crate) use {constant, module};
